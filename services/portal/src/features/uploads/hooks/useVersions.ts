import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { api, unwrap } from "@/api/client";
import { documentKeys } from "@/features/documents/hooks/useDocuments";
import { knowledgeBaseKeys } from "@/features/knowledge-bases/hooks/useKnowledgeBases";
import { isFinal } from "../lib/version-progress";

const POLL_MS = 1500;

export const versionKeys = {
  list: (knowledgeBaseId: string) => ["document-versions", knowledgeBaseId] as const,
};

/** What was imported into a knowledge base, newest first; asked again while something is in progress. */
export function useVersions(knowledge_base_id: string) {
  const queries = useQueryClient();
  const versions = useInfiniteQuery({
    queryKey: versionKeys.list(knowledge_base_id),
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      unwrap(
        api.GET("/api/v1/document-versions", {
          params: { query: { knowledge_base_id, ...(pageParam && { cursor: pageParam }) } },
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: ({ state }) =>
      state.data?.pages.some(({ items }) => items.some((version) => !isFinal(version))) ? POLL_MS : false,
  });
  const items = versions.data?.pages.flatMap((page) => page.items) ?? [];
  const indexed = items.filter(({ state }) => state === "indexed").length;
  const before = useRef(indexed);
  useEffect(() => {
    if (indexed === before.current) return;
    before.current = indexed;
    void queries.invalidateQueries({ queryKey: documentKeys.list(knowledge_base_id) });
    void queries.invalidateQueries({ queryKey: knowledgeBaseKeys.list });
  }, [indexed, queries, knowledge_base_id]);
  return { ...versions, items };
}

/** Try a version again, or give it up. */
export function useVersionAction(action: "retry" | "cancel", knowledgeBaseId: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (version_id: string) =>
      unwrap(
        action === "retry"
          ? api.POST("/api/v1/document-versions/{version_id}/retry", { params: { path: { version_id } } })
          : api.POST("/api/v1/document-versions/{version_id}/cancel", { params: { path: { version_id } } }),
      ),
    onSettled: () => queries.invalidateQueries({ queryKey: versionKeys.list(knowledgeBaseId) }),
  });
}
