import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "@/api/client";
import type { Answer, Feedback, NewFeedback } from "@/api/types";
import { conversationKeys } from "@/features/conversations/hooks/useConversations";

/** What the user said of an answer, and how to change it. */
export function useFeedback(answer: Answer) {
  const queries = useQueryClient();
  const [given, setGiven] = useState<Feedback | null>(answer.feedback ?? null);
  const params = { path: { answer_id: answer.id } };
  const settle = (feedback: Feedback | null) => {
    setGiven(feedback);
    void queries.invalidateQueries({ queryKey: conversationKeys.detail(answer.conversation_id) });
  };
  const give = useMutation({
    mutationFn: (feedback: NewFeedback) =>
      unwrap(api.PUT("/api/v1/answers/{answer_id}/feedback", { params, body: feedback })),
    onSuccess: settle,
  });
  const withdraw = useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/v1/answers/{answer_id}/feedback", { params })),
    onSuccess: () => settle(null),
  });
  return { given, give, withdraw };
}
