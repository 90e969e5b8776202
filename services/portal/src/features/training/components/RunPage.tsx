import { Alert, Button, Loader, Progress, Stack, Table, Text, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconAlertTriangle, IconArrowLeft, IconPlayerStop } from "@tabler/icons-react";
import { useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ProblemError } from "@/api/problem";
import type { TrainingRun } from "@/api/types";
import { NotFoundPage } from "@/app/ErrorPage";
import { useFormat } from "@/i18n/format";
import { ConfirmModal } from "@/ui/ConfirmModal";
import { LinkAnchor } from "@/ui/links";
import { PageFrame } from "@/ui/PageFrame";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useNames } from "../hooks/useNames";
import { hasEnded, useCancelRun, useDataset, useRun, useRunEvents } from "../hooks/useTraining";
import { curveOf } from "../lib/curve";
import { resultOf } from "../lib/result";
import { FactTable } from "./FactTable";
import { HeldOut } from "./HeldOut";
import { LossChart } from "./LossChart";
import { RunStateBadge } from "./RunStateBadge";

/** One run, live: how far it is, its loss, and at its end what came of it. */
export function RunPage() {
  const { t } = useTranslation();
  const { runId } = useParams({ from: "/shell/training/runs/$runId" });
  const run = useRun(runId);
  if (run.data) return <Content key={runId} run={run.data} />;
  if (run.error instanceof ProblemError && run.error.status === 404) return <NotFoundPage />;
  return (
    <PageFrame title={t("training.title")}>
      {run.error ? <ProblemAlert error={run.error} onRetry={() => void run.refetch()} /> : <Loader />}
    </PageFrame>
  );
}

function Content({ run }: { run: TrainingRun }) {
  const { t } = useTranslation();
  const named = useNames();
  const events = useRunEvents(run);
  const { name, method, state, step, steps, problem } = run;
  return (
    <PageFrame
      title={name}
      lead={named("method", method)}
      above={
        <LinkAnchor to="/training" size="sm">
          <IconArrowLeft size={15} aria-hidden /> {t("training.title")}
        </LinkAnchor>
      }
      actions={
        <>
          <RunStateBadge state={state} />
          {!hasEnded(run) && state !== "cancelling" && <Cancel run={run} />}
        </>
      }
    >
      <Stack gap="xl">
        {problem && (
          <Alert
            role="alert"
            color="cinnabar"
            icon={<IconAlertTriangle />}
            title={t("training.failed")}
            style={{ overflowWrap: "anywhere" }}
          >
            {problem}
          </Alert>
        )}
        {state === "running" && (
          <div>
            <Text size="sm" mb={6} role="status">
              {steps === null ? t("training.preparing") : t("training.progress", { step, steps })}
            </Text>
            <Progress
              value={steps === null ? 0 : (100 * step) / steps}
              animated
              aria-label={t("training.state.running")}
            />
          </div>
        )}
        {events.error && <ProblemAlert error={events.error} onRetry={() => void events.refetch()} />}
        <LossChart points={curveOf(events.data ?? [])} steps={steps} />
        <Result run={run} />
        <section>
          <Title order={2} size="h4" mb="sm">
            {t("training.recipe")}
          </Title>
          <Recipe run={run} />
        </section>
      </Stack>
    </PageFrame>
  );
}

function Cancel({ run }: { run: TrainingRun }) {
  const { t } = useTranslation();
  const [isAsked, asking] = useDisclosure();
  const cancel = useCancelRun(run.id);
  return (
    <>
      <Button
        variant="default"
        leftSection={<IconPlayerStop size={17} />}
        onClick={asking.open}
        data-testid="run-cancel"
      >
        {t("training.cancel")}
      </Button>
      <ConfirmModal
        opened={isAsked}
        title={t("training.cancel")}
        text={t("training.cancelText")}
        confirm={t("training.cancel")}
        pending={cancel.isPending}
        error={cancel.error}
        onConfirm={() => cancel.mutate(undefined, { onSuccess: asking.close })}
        onClose={asking.close}
      />
    </>
  );
}

function Result({ run }: { run: TrainingRun }) {
  const { t, i18n } = useTranslation();
  const format = useFormat();
  const result = resultOf(run);
  if (!result) return null;
  const { held_out, seconds, peak_bytes, trained_parameters, served_on, digest, manifest, steps } = result;
  return (
    <section data-testid="run-result">
      <Title order={2} size="h4" mb="sm">
        {t("training.result")}
      </Title>
      <Stack>
        {held_out && <HeldOut score={held_out} />}
        <FactTable
          facts={[
            [t("training.took"), `${format.duration(seconds)} · ${t("training.steps", { count: steps })}`],
            [t("training.memory"), format.bytes(peak_bytes)],
            [t("training.trained"), new Intl.NumberFormat(i18n.language).format(trained_parameters)],
            [t("training.where"), served_on.length > 0 ? served_on.join(", ") : t("training.servedNowhere")],
            [t("training.weights"), <code key="weights">{digest}</code>],
            [t("training.manifest"), <code key="manifest">{manifest}</code>],
          ]}
        />
      </Stack>
    </section>
  );
}

function Recipe({ run }: { run: TrainingRun }) {
  const { t } = useTranslation();
  const dataset = useDataset(run.dataset_id);
  const named = useNames();
  const said = Object.entries(run.recipe).filter(
    ([name, value]) => value !== null && name !== "name" && name !== "method",
  );
  return (
    <Table.ScrollContainer minWidth={280} type="native">
      <FactTable
        facts={[
          [
            t("training.dataset"),
            <LinkAnchor
              key="dataset"
              to="/training/datasets/$datasetId"
              params={{ datasetId: run.dataset_id }}
            >
              {dataset.data?.name ?? run.dataset_id}
            </LinkAnchor>,
          ],
          ...said.map(([name, value]) => [named("field", name), String(value)] as const),
        ]}
      />
    </Table.ScrollContainer>
  );
}
