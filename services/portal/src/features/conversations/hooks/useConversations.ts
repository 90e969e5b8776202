import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";

export const conversationKeys = {
  list: ["conversations"] as const,
  detail: (id: string) => ["conversation", id] as const,
};

export function useConversations() {
  return useInfiniteQuery({
    queryKey: conversationKeys.list,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      unwrap(api.GET("/api/v1/conversations", { params: { query: pageParam ? { cursor: pageParam } : {} } })),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
}

export function useConversation(conversation_id: string | undefined) {
  return useQuery({
    queryKey: conversationKeys.detail(conversation_id ?? ""),
    enabled: conversation_id !== undefined,
    queryFn: () =>
      unwrap(
        api.GET("/api/v1/conversations/{conversation_id}", {
          params: { path: { conversation_id: conversation_id ?? "" } },
        }),
      ),
  });
}

export function useStartConversation() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (knowledge_base_ids: string[]) =>
      unwrap(api.POST("/api/v1/conversations", { body: { knowledge_base_ids } })),
    onSuccess: (conversation) => {
      queries.setQueryData(conversationKeys.detail(conversation.id), { conversation, answers: [] });
      void queries.invalidateQueries({ queryKey: conversationKeys.list });
    },
  });
}

export function useRenameConversation(conversation_id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (title: string) =>
      unwrap(
        api.PATCH("/api/v1/conversations/{conversation_id}", {
          params: { path: { conversation_id } },
          body: { title },
        }),
      ),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: conversationKeys.list });
      void queries.invalidateQueries({ queryKey: conversationKeys.detail(conversation_id) });
    },
  });
}

export function useDeleteConversation(conversation_id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () =>
      unwrap(
        api.DELETE("/api/v1/conversations/{conversation_id}", { params: { path: { conversation_id } } }),
      ),
    onSuccess: () => {
      queries.removeQueries({ queryKey: conversationKeys.detail(conversation_id) });
      void queries.invalidateQueries({ queryKey: conversationKeys.list });
    },
  });
}
