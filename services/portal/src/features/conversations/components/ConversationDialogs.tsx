import { Button, Group, Modal, Stack, TextInput } from "@mantine/core";
import { useNavigate, useParams } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Conversation } from "@/api/types";
import { useAnswerStreams } from "@/features/answers/hooks/answer-streams-context";
import { ConfirmModal } from "@/ui/ConfirmModal";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useDeleteConversation, useRenameConversation } from "../hooks/useConversations";

interface Props {
  conversation: Conversation;
  opened: boolean;
  onClose: () => void;
}

export function RenameConversation({ conversation, opened, onClose }: Props) {
  const { t } = useTranslation();
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={t("chat.renameTitle")}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      <RenameForm conversation={conversation} onClose={onClose} />
    </Modal>
  );
}

function RenameForm({ conversation, onClose }: Omit<Props, "opened">) {
  const { t } = useTranslation();
  const [title, setTitle] = useState(conversation.title);
  const rename = useRenameConversation(conversation.id);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    rename.mutate(title.trim(), { onSuccess: onClose });
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <TextInput
          label={t("chat.renameLabel")}
          value={title}
          maxLength={200}
          onChange={(event) => setTitle(event.currentTarget.value)}
          data-autofocus
        />
        {rename.error && <ProblemAlert error={rename.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t("common.cancel")}
          </Button>
          <Button type="submit" disabled={!title.trim()} loading={rename.isPending}>
            {t("common.save")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

export function DeleteConversation({ conversation, opened, onClose }: Props) {
  const { t } = useTranslation();
  const remove = useDeleteConversation(conversation.id);
  const streams = useAnswerStreams();
  const navigate = useNavigate();
  const { conversationId } = useParams({ strict: false });
  const afterwards = () => {
    streams.forget(conversation.id);
    onClose();
    if (conversationId === conversation.id) void navigate({ to: "/" });
  };
  return (
    <ConfirmModal
      opened={opened}
      title={t("chat.deleteTitle")}
      text={t("chat.deleteText", { title: conversation.title || t("chat.untitled") })}
      confirm={t("common.delete")}
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate(undefined, { onSuccess: afterwards })}
      onClose={onClose}
    />
  );
}
