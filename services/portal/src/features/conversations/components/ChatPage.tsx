import { Center, Loader, VisuallyHidden } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useEffect, useEffectEvent, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Citation } from "@/api/types";
import { useAnnouncement } from "@/features/answers/hooks/useAnnouncement";
import { CitationAside } from "@/features/citations/components/CitationAside";
import { parseCite } from "@/features/citations/lib/cite";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useChat } from "../hooks/useChat";
import { ChatLog } from "./ChatLog";
import classes from "./ChatPage.module.css";
import { Composer, type ComposerHandle } from "./Composer";
import { Greeting } from "./Greeting";
import { ScopePicker } from "./ScopePicker";

export function ChatPage() {
  const { conversationId } = useParams({ strict: false });
  return <Chat key={conversationId ?? "new"} conversationId={conversationId} />;
}

function Chat({ conversationId }: { conversationId: string | undefined }) {
  const { t } = useTranslation();
  const { cite, kb } = useSearch({ strict: false });
  const navigate = useNavigate();
  const composer = useRef<ComposerHandle>(null);
  const chat = useChat(conversationId);
  const { conversation, stream, finished } = chat;
  const [chosenScope, setScope] = useState<string[] | null>(kb ? [kb] : null);
  const scope = chosenScope ?? conversation.data?.conversation.knowledge_base_ids ?? [];
  const announcement = useAnnouncement(stream, finished.at(-1));
  const title = conversation.data?.conversation.title || t("chat.title");
  useDocumentTitle(t("app.title", { page: title }));
  useEscape(chat.isAnswering, chat.stop);

  const openCite = (value: string | undefined) =>
    void navigate({ to: ".", search: (search) => ({ ...search, cite: value }), replace: cite !== undefined });
  const open = (answerId: string, citation: Citation) => openCite(`${answerId}:${citation.n}`);
  const ask = (text: string) => chat.ask(text, scope);
  const cited = parseCite(cite, finished, stream);

  return (
    <div className={classes.page} data-aside={cited ? true : undefined}>
      <section className={classes.chat} aria-label={t("chat.title")}>
        {conversationId && <VisuallyHidden component="h1">{title}</VisuallyHidden>}
        {conversation.error ? (
          <div className={classes.problem}>
            <ProblemAlert error={conversation.error} onRetry={() => void conversation.refetch()} />
          </div>
        ) : conversationId && conversation.isPending ? (
          <Center className={classes.fill}>
            <Loader />
          </Center>
        ) : conversationId && (finished.length > 0 || stream) ? (
          <ChatLog
            answers={finished}
            stream={stream}
            openCite={cite}
            onOpen={open}
            onEdit={(question) => composer.current?.fill(question)}
            onAskAgain={(question) => void ask(question)}
            onRetry={() => chat.retry(scope)}
          />
        ) : (
          <Greeting onPick={(question) => composer.current?.fill(question)} />
        )}
        <div className={classes.dock}>
          {chat.startError && <ProblemAlert error={chat.startError} />}
          <Composer
            ref={composer}
            draft={chat.draft}
            sent={stream?.live.question}
            isAnswering={chat.isAnswering}
            isStopping={stream?.state === "stopping"}
            lastQuestion={stream?.live.question ?? finished.at(-1)?.question}
            scope={<ScopePicker value={scope} onChange={setScope} />}
            onSend={ask}
            onStop={chat.stop}
          />
        </div>
        <VisuallyHidden role="status" aria-live="polite" data-testid="status">
          {announcement}
        </VisuallyHidden>
      </section>
      {cited && (
        <CitationAside
          citation={cited.citation}
          citations={cited.citations}
          onSelect={(citation) => open(cited.answerId, citation)}
          onClose={() => openCite(undefined)}
        />
      )}
    </div>
  );
}

/** Escape stops the answer, unless something nearer (a card, a dialogue) took the key. */
function useEscape(isActive: boolean, stop: () => void) {
  const onKeyDown = useEffectEvent((event: KeyboardEvent) => {
    if (event.key === "Escape" && !event.defaultPrevented && !event.isComposing) stop();
  });
  useEffect(() => {
    if (!isActive) return undefined;
    const listener = (event: KeyboardEvent) => onKeyDown(event);
    window.addEventListener("keydown", listener);
    return () => window.removeEventListener("keydown", listener);
  }, [isActive]);
}
