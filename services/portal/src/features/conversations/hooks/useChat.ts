import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import type { Answer } from "@/api/types";
import { useAnswerStream, useAnswerStreams } from "@/features/answers/hooks/answer-streams-context";
import { useSession } from "@/features/session/hooks/useSession";
import { draftName, writeDraft } from "@/features/session/lib/drafts";
import { useConversation, useStartConversation } from "./useConversations";

const NONE: Answer[] = [];

/** A conversation as the page needs it: finished answers, the one in flight, and what can be done. */
export function useChat(conversationId: string | undefined) {
  const navigate = useNavigate();
  const streams = useAnswerStreams();
  const stream = useAnswerStream(conversationId);
  const conversation = useConversation(conversationId);
  const start = useStartConversation();
  const session = useSession();
  const sub = session.data?.sub;
  const draft = draftName(sub, conversationId);
  const answers = conversation.data?.answers ?? NONE;
  const unfinished = answers.find(({ state }) => state === "streaming");

  useEffect(() => {
    if (conversationId && unfinished && !streams.get(conversationId))
      void streams.attach(conversationId, unfinished);
  }, [conversationId, unfinished, streams]);

  /** Ask; the draft stays until the server has taken the question. */
  const ask = async (text: string, scope: string[]) => {
    if (conversationId) {
      void streams.ask(conversationId, text, scope);
      return;
    }
    const { id } = await start.mutateAsync(scope);
    writeDraft(draft, "");
    writeDraft(draftName(sub, id), text);
    void streams.ask(id, text, scope);
    await navigate({ to: "/chat/$conversationId", params: { conversationId: id } });
  };
  const retry = (scope: string[]) => {
    if (!conversationId || !stream) return;
    if (stream.live.answerId) {
      streams.forget(conversationId);
      void conversation.refetch();
    } else {
      void streams.ask(conversationId, stream.live.question, scope);
    }
  };
  return {
    conversation,
    draft,
    stream,
    startError: start.error,
    finished: stream
      ? answers.filter(({ id, state }) => id !== stream.live.answerId && state !== "streaming")
      : answers,
    isAnswering: stream !== undefined && stream.state !== "failed",
    ask,
    retry,
    stop: () => conversationId && void streams.stop(conversationId),
  };
}
