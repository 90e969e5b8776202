import { Tabs, Text } from "@mantine/core";
import { IconChecks } from "@tabler/icons-react";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Approval } from "@/api/types";
import { useMay } from "@/features/session/hooks/useSession";
import { useFormat } from "@/i18n/format";
import { EmptyState } from "@/ui/EmptyState";
import { PagedList } from "@/ui/PagedList";
import { PageFrame } from "@/ui/PageFrame";
import { useApprovals, type Whose } from "../hooks/useApprovals";
import { actionName } from "../lib/action-name";
import classes from "@/ui/RowList.module.css";
import { StateBadge } from "./StateBadge";

/** What waits for the reader, what they asked for and, for who decides, all there is. */
export function ApprovalsPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { whose } = useSearch({ from: "/shell/approvals" });
  const decides = useMay("approval:decide");
  const tabs: Whose[] = decides ? ["to_decide", "mine", "all"] : ["mine"];
  const active = tabs.find((tab) => tab === whose) ?? tabs[0] ?? "mine";
  const show = (next: string | null) =>
    void navigate({ to: ".", search: { whose: next ?? undefined }, replace: true });
  return (
    <PageFrame title={t("approvals.title")} lead={t("approvals.lead")}>
      <Tabs value={active} onChange={show} keepMounted={false}>
        <Tabs.List mb="lg">
          {tabs.map((tab) => (
            <Tabs.Tab key={tab} value={tab}>
              {t(`approvals.tabs.${tab}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value={active}>
          <ApprovalList whose={active} />
        </Tabs.Panel>
      </Tabs>
    </PageFrame>
  );
}

function ApprovalList({ whose }: { whose: Whose }) {
  const { t } = useTranslation();
  return (
    <PagedList
      list={useApprovals(whose)}
      renderRow={(approval) => <Row key={approval.id} approval={approval} />}
      empty={
        <EmptyState
          icon={<IconChecks size={24} />}
          title={t(`approvals.empty.${whose}`)}
          text={t("approvals.emptyText")}
        />
      }
    />
  );
}

function Row({ approval }: { approval: Approval }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { id, action, resource, requester, requester_name, created_at, expires_at, state } = approval;
  const votes = { given: approval.approvals.length, needed: approval.approvers_needed };
  return (
    <li className={classes.row} data-testid="approval-item" data-title={resource.title}>
      <div className={classes.body}>
        <Text size="xs" c="dimmed">
          {actionName(t, action)}
        </Text>
        <h2 className={classes.name}>
          <Link to="/approvals/$approvalId" params={{ approvalId: id }} className={classes.link}>
            {resource.title}
          </Link>
        </h2>
        <Text size="sm" c="dimmed">
          {t("approvals.askedBy", { name: requester_name || requester })} · {format.relative(created_at)}
        </Text>
      </div>
      <div className={classes.facts}>
        <StateBadge approval={approval} />
        {!approval.is_break_glass && (
          <Text size="xs" c="dimmed">
            {t("approvals.votes", votes)}
          </Text>
        )}
        {(state === "waiting" || state === "approved") && (
          <Text size="xs" c="dimmed">
            {t("approvals.expires", { when: format.relative(expires_at) })}
          </Text>
        )}
      </div>
    </li>
  );
}
