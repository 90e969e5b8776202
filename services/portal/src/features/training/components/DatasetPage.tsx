import { Loader, Stack, Title } from "@mantine/core";
import { IconArrowLeft } from "@tabler/icons-react";
import { useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ProblemError } from "@/api/problem";
import type { TrainingDataset } from "@/api/types";
import { NotFoundPage } from "@/app/ErrorPage";
import { useFormat } from "@/i18n/format";
import { LinkAnchor } from "@/ui/links";
import { PageFrame } from "@/ui/PageFrame";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useNames } from "../hooks/useNames";
import { useDataset } from "../hooks/useTraining";
import { FactTable } from "./FactTable";

/** A frozen dataset and its quality card. */
export function DatasetPage() {
  const { t } = useTranslation();
  const { datasetId } = useParams({ from: "/shell/training/datasets/$datasetId" });
  const dataset = useDataset(datasetId);
  if (dataset.data) return <Content dataset={dataset.data} />;
  if (dataset.error instanceof ProblemError && dataset.error.status === 404) return <NotFoundPage />;
  return (
    <PageFrame title={t("training.tabs.datasets")}>
      {dataset.error ? (
        <ProblemAlert error={dataset.error} onRetry={() => void dataset.refetch()} />
      ) : (
        <Loader />
      )}
    </PageFrame>
  );
}

interface Card {
  left_out: Record<string, number>;
  not_read?: number;
  languages: Record<string, number>;
  origins: Record<string, number>;
  licences: Record<string, number>;
  preference_pairs: number;
  thumbs: number;
  characters: { median: number; p95: number; longest: number };
  quality: { p5: number; median: number };
}

function Content({ dataset }: { dataset: TrainingDataset }) {
  const { t } = useTranslation();
  const format = useFormat();
  const card = dataset.card as unknown as Card;
  return (
    <PageFrame
      title={dataset.name}
      lead={`${t("training.examples", { count: dataset.examples })} · ${t("training.by", {
        name: dataset.created_by,
        when: format.dateTime(dataset.created_at),
      })}`}
      above={
        <LinkAnchor to="/training" search={{ tab: "datasets" }} size="sm">
          <IconArrowLeft size={15} aria-hidden /> {t("training.tabs.datasets")}
        </LinkAnchor>
      }
    >
      <Stack>
        <Title order={2} size="h4">
          {t("training.card")}
        </Title>
        <FactTable
          facts={[
            [t("training.root"), <code key="root">{dataset.root}</code>],
            [t("training.leftOut"), <Counts key="left" counts={leftOut(card)} />],
            [t("training.languages"), <Counts key="languages" counts={card.languages} />],
            [t("training.origins"), <Counts key="origins" counts={card.origins} />],
            [t("training.licences"), <Counts key="licences" counts={card.licences} />],
            [t("training.pairs"), card.preference_pairs],
            [t("training.thumbs"), card.thumbs],
            [t("training.lengths"), t("training.lengthsAre", { ...card.characters })],
            [t("training.quality"), t("training.qualityIs", { ...card.quality })],
          ]}
        />
      </Stack>
    </PageFrame>
  );
}

const leftOut = ({ left_out, not_read }: Card) => ({ ...left_out, ...(not_read && { not_read }) });

function Counts({ counts }: { counts: Record<string, number> }) {
  const { t } = useTranslation();
  const named = useNames();
  const said = Object.entries(counts).map(([name, count]) => `${named("counted", name)}: ${count}`);
  return said.length > 0 ? said.join(" · ") : t("training.none");
}
