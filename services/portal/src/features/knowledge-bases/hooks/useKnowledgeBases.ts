import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { everyPage } from "@/api/pages";
import { api, unwrap } from "@/api/client";
import type { components } from "@/api/schema";

export const knowledgeBaseKeys = {
  list: ["knowledge-bases"] as const,
  detail: (id: string) => ["knowledge-bases", id] as const,
};

export function useKnowledgeBases() {
  return useQuery({
    queryKey: knowledgeBaseKeys.list,
    queryFn: () =>
      everyPage((cursor) =>
        unwrap(api.GET("/api/v1/knowledge-bases", { params: { query: cursor ? { cursor } : {} } })),
      ),
  });
}

export function useKnowledgeBase(knowledge_base_id: string) {
  return useQuery({
    queryKey: knowledgeBaseKeys.detail(knowledge_base_id),
    queryFn: () =>
      unwrap(
        api.GET("/api/v1/knowledge-bases/{knowledge_base_id}", { params: { path: { knowledge_base_id } } }),
      ),
  });
}

export function useCreateKnowledgeBase() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: components["schemas"]["NewKnowledgeBase"]) =>
      unwrap(api.POST("/api/v1/knowledge-bases", { body })),
    onSuccess: () => queries.invalidateQueries({ queryKey: knowledgeBaseKeys.list }),
  });
}

export function useChangeKnowledgeBase(knowledge_base_id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: components["schemas"]["KnowledgeBaseChange"]) =>
      unwrap(
        api.PATCH("/api/v1/knowledge-bases/{knowledge_base_id}", {
          params: { path: { knowledge_base_id } },
          body,
        }),
      ),
    onSuccess: () => queries.invalidateQueries({ queryKey: knowledgeBaseKeys.list }),
  });
}

export function useDeleteKnowledgeBase(knowledge_base_id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () =>
      unwrap(
        api.DELETE("/api/v1/knowledge-bases/{knowledge_base_id}", {
          params: { path: { knowledge_base_id } },
        }),
      ),
    onSuccess: () => {
      queries.removeQueries({ queryKey: knowledgeBaseKeys.detail(knowledge_base_id) });
      return queries.invalidateQueries({ queryKey: knowledgeBaseKeys.list, exact: true });
    },
  });
}
