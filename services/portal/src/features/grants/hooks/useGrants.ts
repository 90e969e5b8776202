import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { components } from "@/api/schema";

const grantsKey = (knowledgeBaseId: string) => ["grants", knowledgeBaseId] as const;

export function useGrants(knowledge_base_id: string) {
  return useQuery({
    queryKey: grantsKey(knowledge_base_id),
    queryFn: () =>
      unwrap(
        api.GET("/api/v1/knowledge-bases/{knowledge_base_id}/grants", {
          params: { path: { knowledge_base_id } },
        }),
      ),
  });
}

export function useGiveGrant(knowledge_base_id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: components["schemas"]["NewGrant"]) =>
      unwrap(
        api.POST("/api/v1/knowledge-bases/{knowledge_base_id}/grants", {
          params: { path: { knowledge_base_id } },
          body,
        }),
      ),
    onSuccess: () => queries.invalidateQueries({ queryKey: grantsKey(knowledge_base_id) }),
  });
}

export function useRemoveGrant(knowledge_base_id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (grant_id: string) =>
      unwrap(
        api.DELETE("/api/v1/knowledge-bases/{knowledge_base_id}/grants/{grant_id}", {
          params: { path: { knowledge_base_id, grant_id } },
        }),
      ),
    onSuccess: () => queries.invalidateQueries({ queryKey: grantsKey(knowledge_base_id) }),
  });
}
