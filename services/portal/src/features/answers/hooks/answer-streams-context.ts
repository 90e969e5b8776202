import type { QueryClient } from "@tanstack/react-query";
import { createContext, useContext, useSyncExternalStore } from "react";
import { api, unwrap } from "@/api/client";
import { isSignedOut } from "@/api/problem";
import type { Answer, ConversationDetail } from "@/api/types";
import { conversationKeys } from "@/features/conversations/hooks/useConversations";
import { sessionQuery } from "@/features/session/hooks/useSession";
import { draftName, readDraft, writeDraft } from "@/features/session/lib/drafts";
import { AnswerStreams, type AnswerStream } from "../lib/answer-streams";

const AnswerStreamsContext = createContext<AnswerStreams | null>(null);
export const AnswerStreamsProvider = AnswerStreamsContext.Provider;

/** The application's answers in flight; a finished one goes into the cache of its conversation. */
export function makeAnswerStreams(queries: QueryClient): AnswerStreams {
  return new AnswerStreams({
    stop: (answer_id) =>
      unwrap(api.POST("/api/v1/answers/{answer_id}/stop", { params: { path: { answer_id } } })),
    onTaken(conversationId, question) {
      const draft = draftName(queries.getQueryData(sessionQuery.queryKey)?.sub, conversationId);
      if (readDraft(draft).trim() === question) writeDraft(draft, "");
    },
    onDone(answer) {
      const key = conversationKeys.detail(answer.conversation_id);
      queries.setQueryData<ConversationDetail>(key, (detail) => detail && withAnswer(detail, answer));
      void queries.invalidateQueries({ queryKey: key });
      void queries.invalidateQueries({ queryKey: conversationKeys.list });
    },
    onProblem(problem) {
      if (isSignedOut(problem)) queries.setQueryData(sessionQuery.queryKey, null);
    },
  });
}

function withAnswer(detail: ConversationDetail, answer: Answer): ConversationDetail {
  const isKnown = detail.answers.some(({ id }) => id === answer.id);
  const answers = isKnown
    ? detail.answers.map((known) => (known.id === answer.id ? answer : known))
    : [...detail.answers, answer];
  return { ...detail, answers };
}

export function useAnswerStreams(): AnswerStreams {
  const streams = useContext(AnswerStreamsContext);
  if (!streams) throw new Error("wrap the application in AnswerStreamsProvider");
  return streams;
}

/** The answer in flight of a conversation, if there is one. */
export function useAnswerStream(conversationId: string | undefined): AnswerStream | undefined {
  const streams = useAnswerStreams();
  return useSyncExternalStore(streams.subscribe, () =>
    conversationId ? streams.get(conversationId) : undefined,
  );
}
