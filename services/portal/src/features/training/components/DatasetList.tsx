import { Text } from "@mantine/core";
import { IconTable } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { TrainingDataset } from "@/api/types";
import { useFormat } from "@/i18n/format";
import { EmptyState } from "@/ui/EmptyState";
import { PagedList } from "@/ui/PagedList";
import classes from "@/ui/RowList.module.css";
import { useDatasets } from "../hooks/useTraining";

export function DatasetList() {
  const { t } = useTranslation();
  return (
    <PagedList
      list={useDatasets()}
      renderRow={(dataset) => <Row key={dataset.id} dataset={dataset} />}
      empty={
        <EmptyState
          icon={<IconTable size={24} />}
          title={t("training.noDatasets")}
          text={t("training.noDatasetsText")}
        />
      }
    />
  );
}

function Row({ dataset }: { dataset: TrainingDataset }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { id, name, root, examples, created_at, created_by } = dataset;
  return (
    <li className={classes.row} data-testid="dataset-item" data-name={name}>
      <div className={classes.body}>
        <h2 className={classes.name}>
          <Link to="/training/datasets/$datasetId" params={{ datasetId: id }} className={classes.link}>
            {name}
          </Link>
        </h2>
        <Text size="sm" c="dimmed">
          {t("training.by", { name: created_by, when: format.relative(created_at) })} ·{" "}
          <code>{root.slice(0, 12)}</code>
        </Text>
      </div>
      <div className={classes.facts}>
        <Text size="sm">{t("training.examples", { count: examples })}</Text>
      </div>
    </li>
  );
}
