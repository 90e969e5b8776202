import { Loader, Text } from "@mantine/core";
import { IconAlertTriangle, IconArrowLeft, IconCheck, IconX } from "@tabler/icons-react";
import { useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ProblemError } from "@/api/problem";
import type { Approval } from "@/api/types";
import { NotFoundPage } from "@/app/ErrorPage";
import { useFormat } from "@/i18n/format";
import { CopyButton } from "@/ui/CopyButton";
import { LinkAnchor } from "@/ui/links";
import { PageFrame } from "@/ui/PageFrame";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useApproval } from "../hooks/useApprovals";
import { actionName } from "../lib/action-name";
import { ApprovalActions } from "./ApprovalActions";
import classes from "@/ui/Cards.module.css";
import { StateBadge } from "./StateBadge";

export function ApprovalPage() {
  const { t } = useTranslation();
  const { approvalId } = useParams({ from: "/shell/approvals/$approvalId" });
  const approval = useApproval(approvalId);
  if (approval.data) return <Content key={approvalId} approval={approval.data} />;
  if (approval.error instanceof ProblemError && approval.error.status === 404) return <NotFoundPage />;
  return (
    <PageFrame title={t("approvals.title")}>
      {approval.error ? (
        <ProblemAlert error={approval.error} onRetry={() => void approval.refetch()} />
      ) : (
        <Loader />
      )}
    </PageFrame>
  );
}

function Content({ approval }: { approval: Approval }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { action, resource, reason, requester, requester_name, created_at, expires_at, state } = approval;
  const isOpen = state === "waiting" || state === "approved";
  return (
    <PageFrame
      title={resource.title}
      lead={actionName(t, action)}
      above={
        <LinkAnchor to="/approvals" size="sm" className={classes.back ?? ""}>
          <IconArrowLeft size={15} aria-hidden /> {t("approvals.back")}
        </LinkAnchor>
      }
      actions={<ApprovalActions approval={approval} />}
    >
      <div className={classes.facts}>
        <StateBadge approval={approval} />
        <Text size="sm" c="dimmed">
          {t("approvals.askedBy", { name: requester_name || requester })} · {format.dateTime(created_at)}
          {isOpen && ` · ${t("approvals.expires", { when: format.relative(expires_at) })}`}
        </Text>
      </div>
      <section className={classes.card} aria-labelledby="approval-why">
        <h2 id="approval-why" className={classes.heading}>
          {t("approvals.why")}
        </h2>
        <Text className={classes.reason ?? ""} data-testid="approval-reason">
          {reason}
        </Text>
      </section>
      <What approval={approval} />
      <Who approval={approval} />
    </PageFrame>
  );
}

/** What the digest covers, so that nobody agrees to more than they read. */
function What({ approval: { resource, terms, digest } }: { approval: Approval }) {
  const { t, i18n } = useTranslation();
  const label = (name: string) =>
    i18n.exists(`approvals.term.${name}`)
      ? t(`approvals.term.${name}` as "approvals.term.contents_sha256")
      : name;
  const listed = Object.entries(terms ?? {});
  return (
    <section className={classes.card} aria-labelledby="approval-what">
      <h2 id="approval-what" className={classes.heading}>
        {t("approvals.what")}
      </h2>
      <dl className={classes.terms}>
        <dt>{t("approvals.resource")}</dt>
        <dd>
          {resource.title} <code>{resource.id}</code>
        </dd>
        {listed.map(([name, value]) => (
          <div key={name} className={classes.term}>
            <dt>{label(name)}</dt>
            <dd>
              <Term value={Array.isArray(value) ? value.join(", ") : String(value ?? "—")} />
            </dd>
          </div>
        ))}
        {listed.length === 0 && <dd className={classes.term}>{t("approvals.noTerms")}</dd>}
        <dt>{t("approvals.digest")}</dt>
        <dd className={classes.digest}>
          <code data-testid="approval-digest">{digest}</code>
          <CopyButton text={() => digest} label={t("approvals.copyDigest")} />
        </dd>
      </dl>
      <Text size="sm" c="dimmed">
        {t("approvals.digestHelp")}
      </Text>
    </section>
  );
}

function Term({ value }: { value: string }) {
  return /^[0-9a-f]{64}$/.test(value) ? <code>{value}</code> : value;
}

function Who({ approval }: { approval: Approval }) {
  const { t } = useTranslation();
  const { approvals, approvers_needed, refusal, state, is_break_glass } = approval;
  const missing = approvers_needed - approvals.length;
  return (
    <section className={classes.card} aria-labelledby="approval-who">
      <h2 id="approval-who" className={classes.heading}>
        {t("approvals.who")}
      </h2>
      {is_break_glass && (
        <Text className={classes.warning ?? ""}>
          <IconAlertTriangle size={18} aria-hidden /> {t("approvals.breakGlassText")}
        </Text>
      )}
      <ul className={classes.votes}>
        {approvals.map((vote) => (
          <Voted key={vote.sub} name={vote.name || vote.sub} at={vote.at} />
        ))}
        {refusal && <Voted name={refusal.name || refusal.sub} at={refusal.at} refused={refusal.reason} />}
      </ul>
      {state === "waiting" && (
        <Text c="dimmed" data-testid="approval-missing">
          {t("approvals.stillNeeded", { count: missing })}
        </Text>
      )}
    </section>
  );
}

function Voted({ name, at, refused }: { name: string; at: string; refused?: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const isRefusal = refused !== undefined;
  return (
    <li className={classes.vote} data-refused={isRefusal || undefined} data-testid="approval-vote">
      {isRefusal ? <IconX size={18} aria-hidden /> : <IconCheck size={18} aria-hidden />}
      <div>
        <strong>{name}</strong> {t(isRefusal ? "approvals.refused" : "approvals.agreed")}
        <Text span size="sm" c="dimmed">
          {" "}
          · {format.dateTime(at)}
        </Text>
        {isRefusal && <Text className={classes.reason ?? ""}>{refused}</Text>}
      </div>
    </li>
  );
}
