import { Progress, Text } from "@mantine/core";
import { IconChartDots } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { TrainingRun } from "@/api/types";
import { useFormat } from "@/i18n/format";
import { EmptyState } from "@/ui/EmptyState";
import { PagedList } from "@/ui/PagedList";
import classes from "@/ui/RowList.module.css";
import { useNames } from "../hooks/useNames";
import { useRuns } from "../hooks/useTraining";
import { RunStateBadge } from "./RunStateBadge";

export function RunList() {
  const { t } = useTranslation();
  return (
    <PagedList
      list={useRuns()}
      renderRow={(run) => <Row key={run.id} run={run} />}
      empty={
        <EmptyState
          icon={<IconChartDots size={24} />}
          title={t("training.noRuns")}
          text={t("training.noRunsText")}
        />
      }
    />
  );
}

function Row({ run }: { run: TrainingRun }) {
  const { t } = useTranslation();
  const named = useNames();
  const format = useFormat();
  const { id, name, method, state, step, steps, loss, created_at, created_by } = run;
  return (
    <li className={classes.row} data-testid="run-item" data-name={name}>
      <div className={classes.body}>
        <h2 className={classes.name}>
          <Link to="/training/runs/$runId" params={{ runId: id }} className={classes.link}>
            {name}
          </Link>
        </h2>
        <Text size="sm" c="dimmed">
          {named("method", method)} ·{" "}
          {t("training.by", { name: created_by, when: format.relative(created_at) })}
        </Text>
        {state === "running" && steps !== null && (
          <Progress
            value={(100 * step) / steps}
            mt={6}
            aria-label={t("training.progress", { step, steps })}
          />
        )}
      </div>
      <div className={classes.facts}>
        {loss !== null && (
          <Text size="sm" c="dimmed">
            {t("training.lossIs", { loss: loss.toFixed(3) })}
          </Text>
        )}
        <RunStateBadge state={state} />
      </div>
    </li>
  );
}
