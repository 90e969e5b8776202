import { ActionIcon, Button, Loader, Menu, Text, VisuallyHidden } from "@mantine/core";
import { IconDots, IconPencil, IconTrash } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Conversation } from "@/api/types";
import { useAnswerStream } from "@/features/answers/hooks/answer-streams-context";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useConversations } from "../hooks/useConversations";
import { DeleteConversation, RenameConversation } from "./ConversationDialogs";
import classes from "./ConversationList.module.css";

export function ConversationList() {
  const { t } = useTranslation();
  const conversations = useConversations();
  const items = conversations.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <nav className={classes.list} aria-label={t("chat.history")}>
      <Text component="h2" className={classes.heading}>
        {t("chat.history")}
      </Text>
      {conversations.error && (
        <ProblemAlert error={conversations.error} onRetry={() => void conversations.refetch()} />
      )}
      {conversations.isSuccess && items.length === 0 && (
        <Text size="sm" c="dimmed" px="xs">
          {t("chat.historyEmpty")}
        </Text>
      )}
      <ul className={classes.items}>
        {items.map((conversation) => (
          <ConversationItem key={conversation.id} conversation={conversation} />
        ))}
      </ul>
      {conversations.hasNextPage && (
        <Button
          variant="subtle"
          color="gray"
          size="compact-sm"
          loading={conversations.isFetchingNextPage}
          onClick={() => void conversations.fetchNextPage()}
        >
          {t("common.more")}
        </Button>
      )}
    </nav>
  );
}

function ConversationItem({ conversation }: { conversation: Conversation }) {
  const { t } = useTranslation();
  const [dialog, setDialog] = useState<"rename" | "delete" | null>(null);
  const stream = useAnswerStream(conversation.id);
  const title = conversation.title || t("chat.untitled");
  const close = () => setDialog(null);
  return (
    <li className={classes.item} data-testid="conversation-item">
      <Link
        to="/chat/$conversationId"
        params={{ conversationId: conversation.id }}
        className={classes.link}
        title={title}
      >
        {title}
      </Link>
      {stream && stream.state !== "failed" && (
        <>
          <Loader size={14} aria-hidden />
          <VisuallyHidden>{t("chat.answering")}</VisuallyHidden>
        </>
      )}
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon
            variant="subtle"
            color="gray"
            size="md"
            className={classes.more}
            aria-label={t("chat.moreOf", { title })}
            data-testid="conversation-menu"
          >
            <IconDots size={16} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconPencil size={16} />} onClick={() => setDialog("rename")}>
            {t("chat.rename")}
          </Menu.Item>
          <Menu.Item
            leftSection={<IconTrash size={16} />}
            color="cinnabar"
            onClick={() => setDialog("delete")}
          >
            {t("chat.delete")}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <RenameConversation conversation={conversation} opened={dialog === "rename"} onClose={close} />
      <DeleteConversation conversation={conversation} opened={dialog === "delete"} onClose={close} />
    </li>
  );
}
