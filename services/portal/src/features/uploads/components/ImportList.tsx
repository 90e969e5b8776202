import { Button, Group, SegmentedControl, Text } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useVersions } from "../hooks/useVersions";
import type { Upload } from "../lib/upload-store";
import { matchesFilter, type VersionFilter } from "../lib/version-progress";
import classes from "./ImportList.module.css";
import { UploadRow } from "./UploadRow";
import { VersionRow } from "./VersionRow";

interface Props {
  knowledgeBaseId: string;
  uploads: Upload[];
  mayEdit: boolean;
  onRetry: (upload: Upload) => void;
  onDismiss: (key: string) => void;
}

/** What is on its way into a knowledge base, what arrived, and what failed and why. */
export function ImportList({ knowledgeBaseId, uploads, mayEdit, onRetry, onDismiss }: Props) {
  const { t } = useTranslation();
  const [filter, setFilter] = useState<VersionFilter>("all");
  const versions = useVersions(knowledgeBaseId);
  const shown = versions.items.filter((version) => matchesFilter(version, filter));
  const filters = (["all", "active", "problems"] as const).map((value) => ({
    value,
    label: t(`upload.filter.${value}`),
  }));
  return (
    <section aria-label={t("upload.imports")}>
      <Group justify="flex-end" mb="sm">
        <SegmentedControl
          size="xs"
          aria-label={t("upload.filter.label")}
          value={filter}
          onChange={(value) => setFilter(value as VersionFilter)}
          data={filters}
        />
      </Group>
      {versions.error && <ProblemAlert error={versions.error} onRetry={() => void versions.refetch()} />}
      {versions.isSuccess && shown.length === 0 && uploads.length === 0 && (
        <Text c="dimmed" py="lg" ta="center">
          {t("upload.importsEmpty")}
        </Text>
      )}
      <ul className={classes.list}>
        {uploads.map((upload) => (
          <UploadRow
            key={upload.key}
            upload={upload}
            onRetry={() => onRetry(upload)}
            onDismiss={() => onDismiss(upload.key)}
          />
        ))}
        {shown.map((version) => (
          <VersionRow key={version.id} version={version} mayEdit={mayEdit} />
        ))}
      </ul>
      {versions.hasNextPage && (
        <Button
          variant="subtle"
          loading={versions.isFetchingNextPage}
          onClick={() => void versions.fetchNextPage()}
        >
          {t("common.more")}
        </Button>
      )}
    </section>
  );
}
