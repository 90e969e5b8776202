import { Badge, Tabs, Text } from "@mantine/core";
import { IconEyeCheck } from "@tabler/icons-react";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Case } from "@/api/types";
import { useFormat } from "@/i18n/format";
import { EmptyState } from "@/ui/EmptyState";
import { PagedList } from "@/ui/PagedList";
import { PageFrame } from "@/ui/PageFrame";
import classes from "@/ui/RowList.module.css";
import { type Shown, useCases, useFigures } from "../hooks/useReviews";

const TABS: Shown[] = ["waiting", "mine", "decided"];

/** What waits for a person, the most urgent first, and how people fare with it. */
export function ReviewsPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { shown } = useSearch({ from: "/shell/reviews" });
  const active = TABS.find((tab) => tab === shown) ?? "waiting";
  const show = (next: string | null) =>
    void navigate({ to: ".", search: { shown: next ?? undefined }, replace: true });
  return (
    <PageFrame title={t("reviews.title")} lead={t("reviews.lead")}>
      <Figures />
      <Tabs value={active} onChange={show} keepMounted={false}>
        <Tabs.List mb="lg">
          {TABS.map((tab) => (
            <Tabs.Tab key={tab} value={tab}>
              {t(`reviews.tabs.${tab}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value={active}>
          <CaseList shown={active} />
        </Tabs.Panel>
      </Tabs>
    </PageFrame>
  );
}

function Figures() {
  const { t } = useTranslation();
  const { data } = useFigures();
  if (!data) return null;
  const { agreement, median_hours, overdue, decided } = data;
  const said = [
    t("reviews.overdue", { count: overdue }),
    t("reviews.decidedCount", { count: decided }),
    median_hours !== null && t("reviews.medianHours", { hours: median_hours }),
    agreement.kappa !== null && t("reviews.kappa", { kappa: agreement.kappa, count: agreement.cases }),
  ];
  return (
    <Text size="sm" c="dimmed" mb="md" data-testid="review-figures">
      {said.filter(Boolean).join(" · ")}
    </Text>
  );
}

function CaseList({ shown }: { shown: Shown }) {
  const { t } = useTranslation();
  return (
    <PagedList
      list={useCases(shown)}
      renderRow={(found) => <Row key={found.id} found={found} />}
      empty={
        <EmptyState
          icon={<IconEyeCheck size={24} />}
          title={t(`reviews.empty.${shown}`)}
          text={t("reviews.emptyText")}
        />
      }
    />
  );
}

function Row({ found }: { found: Case }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <li className={classes.row} data-testid="case-item">
      <div className={classes.body}>
        <h2 className={classes.name}>
          <Link to="/reviews/$caseId" params={{ caseId: found.id }} className={classes.link}>
            {t(`reviews.kind.${found.kind}`)}
          </Link>
        </h2>
        <Text size="sm" c="dimmed">
          {t("reviews.opened", { when: format.relative(found.opened_at) })}
          {found.categories.length > 0 && ` · ${found.categories.join(", ")}`}
        </Text>
      </div>
      <div className={classes.facts}>
        <CaseBadges found={found} />
        {found.state !== "decided" && (
          <Text size="xs" c={found.is_overdue ? "var(--mantine-color-error)" : "dimmed"}>
            {t("reviews.due", { when: format.relative(found.due_at) })}
          </Text>
        )}
      </div>
    </li>
  );
}

/** The state of a case and how urgent it is, in words. */
export function CaseBadges({ found }: { found: Case }) {
  const { t } = useTranslation();
  const said = found.verdict ? t(`reviews.verdict.${found.verdict}`) : t(`reviews.state.${found.state}`);
  return (
    <>
      {found.severity === "high" && (
        <Badge color="cinnabar" variant="filled" tt="none" radius="sm">
          {t("reviews.urgent")}
        </Badge>
      )}
      <Badge
        color={found.state === "decided" ? "pine" : "gray"}
        variant="light"
        tt="none"
        radius="sm"
        data-testid="case-state"
        data-state={found.state}
      >
        {said}
      </Badge>
    </>
  );
}
