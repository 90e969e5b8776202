import { Button, Loader, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useTranslation } from "react-i18next";
import type { RetentionKind, RetentionRule } from "@/api/types";
import { useMay } from "@/features/session/hooks/useSession";
import { useFormat } from "@/i18n/format";
import { PageFrame } from "@/ui/PageFrame";
import { ProblemAlert } from "@/ui/ProblemAlert";
import classes from "@/ui/RowList.module.css";
import { useRetentionRules } from "../hooks/useRetention";
import { ChangeRule } from "./ChangeRule";

const KINDS: RetentionKind[] = ["conversations"];

/** What is kept for how long; reviewers ask to have it changed. */
export function RetentionPage() {
  const { t } = useTranslation();
  const rules = useRetentionRules();
  return (
    <PageFrame title={t("retention.title")} lead={t("retention.lead")}>
      {rules.isPending && <Loader />}
      {rules.error && <ProblemAlert error={rules.error} onRetry={() => void rules.refetch()} />}
      {rules.data && (
        <ul className={classes.list}>
          {KINDS.map((kind) => (
            <Row key={kind} kind={kind} rule={rules.data.find((rule) => rule.kind === kind)} />
          ))}
        </ul>
      )}
    </PageFrame>
  );
}

function Row({ kind, rule }: { kind: RetentionKind; rule: RetentionRule | undefined }) {
  const { t } = useTranslation();
  const format = useFormat();
  const mayChange = useMay("retention_rule:change");
  const [isChanging, changing] = useDisclosure();
  const days = rule?.days ?? null;
  return (
    <li className={classes.row} data-testid="retention-rule" data-kind={kind}>
      <div className={classes.body}>
        <h2 className={classes.name}>{t(`retention.kind.${kind}`)}</h2>
        <Text>{days === null ? t("retention.forEver") : t("retention.days", { count: days })}</Text>
        <Text size="sm" c="dimmed">
          {rule
            ? t("retention.changed", { name: rule.changed_by, when: format.dateTime(rule.changed_at) })
            : t("retention.neverChanged")}
        </Text>
      </div>
      {mayChange && (
        <div className={classes.facts}>
          <Button variant="default" onClick={changing.open} data-testid="retention-change">
            {t("retention.change")}
          </Button>
        </div>
      )}
      <ChangeRule kind={kind} days={days} opened={isChanging} onClose={changing.close} />
    </li>
  );
}
