import { Button, FileInput, Group, Modal, Stack, TextInput } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useUploadDataset } from "../hooks/useTraining";

/** Takes examples in any of the known forms; the card of what was made of them comes next. */
export function UploadDataset({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={t("training.upload")}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      <Form onClose={onClose} />
    </Modal>
  );
}

function Form({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const upload = useUploadDataset();
  const [name, setName] = useState("");
  const [licence, setLicence] = useState("");
  const [file, setFile] = useState<File | null>(null);
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (file)
      upload.mutate(
        { name: name.trim(), licence: licence.trim(), file },
        {
          onSuccess: ({ id }) =>
            void navigate({ to: "/training/datasets/$datasetId", params: { datasetId: id } }),
        },
      );
  };
  return (
    <form onSubmit={send}>
      <Stack>
        <FileInput
          label={t("training.file")}
          description={t("training.fileHelp")}
          placeholder={t("training.choose")}
          required
          accept=".json,.jsonl,application/json"
          value={file}
          onChange={(chosen) => {
            setFile(chosen);
            if (chosen && !name) setName(chosen.name.replace(/\.jsonl?$/, ""));
          }}
          data-testid="dataset-file"
        />
        <TextInput
          label={t("training.name")}
          required
          maxLength={100}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          data-testid="dataset-name"
        />
        <TextInput
          label={t("training.licence")}
          description={t("training.licenceHelp")}
          maxLength={100}
          value={licence}
          onChange={(event) => setLicence(event.currentTarget.value)}
        />
        {upload.error ? <ProblemAlert error={upload.error} /> : null}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t("common.cancel")}
          </Button>
          <Button
            type="submit"
            disabled={!file || !name.trim()}
            loading={upload.isPending}
            data-testid="dataset-submit"
          >
            {t("training.freeze")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
