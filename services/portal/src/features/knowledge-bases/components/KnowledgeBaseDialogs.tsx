import { Button, Group, Modal, NativeSelect, Stack, TextInput, Textarea } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { ProblemError } from "@/api/problem";
import type { KnowledgeBase } from "@/api/types";
import { ReasonModal } from "@/ui/ReasonModal";
import { useAskToDelete } from "@/features/approvals/hooks/useApprovals";
import { ConfirmModal } from "@/ui/ConfirmModal";
import { ProblemAlert } from "@/ui/ProblemAlert";
import {
  useChangeKnowledgeBase,
  useCreateKnowledgeBase,
  useDeleteKnowledgeBase,
} from "../hooks/useKnowledgeBases";

interface Dialog {
  opened: boolean;
  onClose: () => void;
}

interface Fields {
  name: string;
  description: string;
  language: KnowledgeBase["language"];
}

export function CreateKnowledgeBase({ opened, onClose }: Dialog) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const create = useCreateKnowledgeBase();
  const submit = (fields: Fields) =>
    create.mutate(
      { ...fields, publishing: "auto" },
      {
        onSuccess: ({ id }) => {
          onClose();
          void navigate({ to: "/knowledge-bases/$knowledgeBaseId", params: { knowledgeBaseId: id } });
        },
      },
    );
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={t("kb.new")}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      <KnowledgeBaseForm
        initial={{ name: "", description: "", language: "mixed" }}
        submit={t("kb.create")}
        withLanguage
        isPending={create.isPending}
        error={create.error}
        onSubmit={submit}
        onCancel={onClose}
      />
    </Modal>
  );
}

export function EditKnowledgeBase({
  knowledgeBase,
  opened,
  onClose,
}: Dialog & { knowledgeBase: KnowledgeBase }) {
  const { t } = useTranslation();
  const change = useChangeKnowledgeBase(knowledgeBase.id);
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={t("kb.editTitle")}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      <KnowledgeBaseForm
        initial={knowledgeBase}
        submit={t("common.save")}
        isPending={change.isPending}
        error={change.error}
        onSubmit={({ name, description }) => change.mutate({ name, description }, { onSuccess: onClose })}
        onCancel={onClose}
      />
    </Modal>
  );
}

export function DeleteKnowledgeBase({
  knowledgeBase,
  opened,
  onClose,
}: Dialog & { knowledgeBase: KnowledgeBase }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const remove = useDeleteKnowledgeBase(knowledgeBase.id);
  const ask = useAskToDelete(knowledgeBase.id);
  // Documents that this reader may not see, and deleted ones, count as well: only the server knows.
  const takesOthers = knowledgeBase.documents > 0 || isInUse(remove.error);
  if (takesOthers)
    return (
      <ReasonModal
        opened={opened}
        title={t("kb.deleteTitle")}
        text={t("kb.deleteAskText", { name: knowledgeBase.name })}
        submit={t("kb.deleteAsk")}
        draft={`delete.${knowledgeBase.id}`}
        pending={ask.isPending}
        error={ask.error}
        onSubmit={(reason, onDone) =>
          ask.mutate(reason, {
            onSuccess: ({ id }) => {
              onDone();
              void navigate({ to: "/approvals/$approvalId", params: { approvalId: id } });
            },
          })
        }
        onClose={onClose}
      />
    );
  return (
    <ConfirmModal
      opened={opened}
      title={t("kb.deleteTitle")}
      text={t("kb.deleteText", { name: knowledgeBase.name })}
      confirm={t("common.delete")}
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() =>
        remove.mutate(undefined, { onSuccess: () => void navigate({ to: "/knowledge-bases" }) })
      }
      onClose={onClose}
    />
  );
}

function isInUse(error: unknown): boolean {
  return error instanceof ProblemError && error.code === "knowledge_base_in_use";
}

interface FormProps {
  initial: Fields;
  submit: string;
  withLanguage?: boolean;
  isPending: boolean;
  error: unknown;
  onSubmit: (fields: Fields) => void;
  onCancel: () => void;
}

function KnowledgeBaseForm({
  initial,
  submit,
  withLanguage = false,
  isPending,
  error,
  onSubmit,
  onCancel,
}: FormProps) {
  const { t } = useTranslation();
  const [fields, setFields] = useState(initial);
  const set = (part: Partial<Fields>) => setFields((before) => ({ ...before, ...part }));
  const languages = (["mixed", "zh", "en"] as const).map((value) => ({
    value,
    label: t(`kb.languages.${value}`),
  }));
  const onSubmitForm = (event: FormEvent) => {
    event.preventDefault();
    onSubmit({ ...fields, name: fields.name.trim() });
  };
  return (
    <form onSubmit={onSubmitForm}>
      <Stack>
        <TextInput
          label={t("kb.name")}
          required
          maxLength={100}
          value={fields.name}
          onChange={(event) => set({ name: event.currentTarget.value })}
          data-autofocus
          data-testid="kb-name"
        />
        <Textarea
          label={t("kb.description")}
          autosize
          minRows={2}
          maxLength={2000}
          value={fields.description}
          onChange={(event) => set({ description: event.currentTarget.value })}
        />
        {withLanguage && (
          <NativeSelect
            label={t("kb.language")}
            data={languages}
            value={fields.language}
            onChange={(event) => set({ language: event.currentTarget.value as Fields["language"] })}
          />
        )}
        {error ? <ProblemAlert error={error} /> : null}
        <Group justify="flex-end">
          <Button variant="default" onClick={onCancel}>
            {t("common.cancel")}
          </Button>
          <Button type="submit" disabled={!fields.name.trim()} loading={isPending} data-testid="kb-submit">
            {submit}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
