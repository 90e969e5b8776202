import { Button, Progress, Text } from "@mantine/core";
import {
  IconAlertTriangle,
  IconBan,
  IconCircleCheck,
  IconClock,
  IconLoader,
  IconShieldExclamation,
} from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { DocumentVersion, VersionState } from "@/api/types";
import { useFormat } from "@/i18n/format";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useProblemText } from "@/ui/useProblemText";
import { useVersionAction } from "../hooks/useVersions";
import { VersionNotes } from "./VersionNotes";
import { isFinal, mayRetry, percentDone } from "../lib/version-progress";
import classes from "./VersionRow.module.css";

const ICONS: Partial<Record<VersionState, typeof IconClock>> = {
  queued: IconClock,
  indexed: IconCircleCheck,
  failed: IconAlertTriangle,
  quarantined: IconShieldExclamation,
  cancelled: IconBan,
};

/** One document version: where it is, or how it ended and what can be done. */
export function VersionRow({ version, mayEdit }: { version: DocumentVersion; mayEdit: boolean }) {
  const { t } = useTranslation();
  const format = useFormat();
  const Icon = ICONS[version.state] ?? IconLoader;
  return (
    <li
      className={classes.row}
      data-testid="version-row"
      data-state={version.state}
      data-title={version.title}
    >
      <Icon size={20} className={classes.icon} data-state={version.state} aria-hidden />
      <div className={classes.body}>
        <div className={classes.line}>
          {version.state === "indexed" && version.title ? (
            <Link
              to="/documents/$documentId"
              params={{ documentId: version.document_id }}
              className={classes.title}
            >
              {version.title}
            </Link>
          ) : (
            <span className={classes.title}>{version.title || t("upload.hidden")}</span>
          )}
          <Text span size="xs" c="dimmed">
            {format.bytes(version.size_bytes)}
          </Text>
        </div>
        <StateLine version={version} />
        {!isFinal(version) && <VersionProgress version={version} />}
        {version.state === "indexed" && <VersionNotes notes={version.notes ?? []} />}
        {version.reason && <ReasonBox reason={version.reason} />}
      </div>
      {mayEdit && <Actions version={version} />}
    </li>
  );
}

function StateLine({ version }: { version: DocumentVersion }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { progress, state } = version;
  const { total, eta_s, queue_position } = progress;
  const parts = [
    t(`upload.state.${state}`),
    state === "queued" && queue_position ? t("upload.queue", { position: queue_position }) : null,
    !isFinal(version) && total ? t("upload.units", { done: progress.done ?? 0, total }) : null,
    !isFinal(version) && eta_s ? t("upload.eta", { duration: format.duration(eta_s) }) : null,
    state === "indexed" && version.passages !== null
      ? t("upload.passages", { count: version.passages })
      : null,
    version.unchanged ? t("upload.unchanged") : null,
    version.attempt > 1 ? t("upload.attempt", { count: version.attempt }) : null,
    isFinal(version) ? format.relative(version.updated_at) : null,
  ];
  return (
    <Text size="xs" c="dimmed" data-testid="version-state">
      {parts.filter(Boolean).join(" · ")}
    </Text>
  );
}

function VersionProgress({ version }: { version: DocumentVersion }) {
  const { t } = useTranslation();
  const percent = percentDone(version);
  return (
    <Progress
      value={percent ?? 100}
      striped={percent === null}
      animated={percent === null}
      size="sm"
      mt={4}
      aria-label={t("upload.progressOf", { title: version.title })}
    />
  );
}

function ReasonBox({ reason }: { reason: NonNullable<DocumentVersion["reason"]> }) {
  const { detail, remedy } = useProblemText()(reason);
  return (
    <div className={classes.reason} data-testid="version-reason">
      <Text size="sm" fw={500}>
        {detail}
      </Text>
      <Text size="sm">{remedy}</Text>
      <Text size="xs" c="dimmed" ff="monospace">
        {reason.code}
      </Text>
    </div>
  );
}

function Actions({ version }: { version: DocumentVersion }) {
  const { t } = useTranslation();
  const retry = useVersionAction("retry", version.knowledge_base_id);
  const cancel = useVersionAction("cancel", version.knowledge_base_id);
  const error = retry.error ?? cancel.error;
  const { title } = version;
  return (
    <div className={classes.actions}>
      {mayRetry(version) && (
        <Button
          size="compact-sm"
          variant="default"
          loading={retry.isPending}
          onClick={() => retry.mutate(version.id)}
          aria-label={t("upload.retryOf", { title })}
          data-testid="version-retry"
        >
          {t("upload.retry")}
        </Button>
      )}
      {!isFinal(version) && (
        <Button
          size="compact-sm"
          variant="subtle"
          color="gray"
          loading={cancel.isPending}
          onClick={() => cancel.mutate(version.id)}
          aria-label={t("upload.cancelOf", { title })}
          data-testid="version-cancel"
        >
          {t("upload.cancel")}
        </Button>
      )}
      {error && <ProblemAlert error={error} />}
    </div>
  );
}
