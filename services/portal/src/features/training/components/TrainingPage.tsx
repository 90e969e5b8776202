import { Button, Tabs } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus, IconUpload } from "@tabler/icons-react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { PageFrame } from "@/ui/PageFrame";
import { DatasetList } from "./DatasetList";
import { RunList } from "./RunList";
import { StartRun } from "./StartRun";
import { UploadDataset } from "./UploadDataset";

/** What was trained on what, for who trains the model. */
export function TrainingPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { tab } = useSearch({ from: "/shell/training" });
  const active = tab === "datasets" ? tab : "runs";
  const show = (next: string | null) =>
    void navigate({ to: ".", search: { tab: next === "datasets" ? next : undefined }, replace: true });
  return (
    <PageFrame title={t("training.title")} lead={t("training.lead")} actions={<Actions tab={active} />}>
      <Tabs value={active} onChange={show} keepMounted={false}>
        <Tabs.List mb="lg">
          <Tabs.Tab value="runs">{t("training.tabs.runs")}</Tabs.Tab>
          <Tabs.Tab value="datasets">{t("training.tabs.datasets")}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="runs">
          <RunList />
        </Tabs.Panel>
        <Tabs.Panel value="datasets">
          <DatasetList />
        </Tabs.Panel>
      </Tabs>
    </PageFrame>
  );
}

function Actions({ tab }: { tab: "runs" | "datasets" }) {
  const { t } = useTranslation();
  const [isOpen, dialog] = useDisclosure();
  const Dialog = tab === "runs" ? StartRun : UploadDataset;
  return (
    <>
      <Button
        leftSection={tab === "runs" ? <IconPlus size={17} /> : <IconUpload size={17} />}
        onClick={dialog.open}
        data-testid="training-new"
      >
        {t(tab === "runs" ? "training.start" : "training.upload")}
      </Button>
      <Dialog opened={isOpen} onClose={dialog.close} />
    </>
  );
}
