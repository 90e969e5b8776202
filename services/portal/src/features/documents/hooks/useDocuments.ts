import {
  type InfiniteData,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { Document, Page } from "@/api/types";
import { knowledgeBaseKeys } from "@/features/knowledge-bases/hooks/useKnowledgeBases";

export const documentKeys = {
  list: (knowledgeBaseId: string) => ["documents", knowledgeBaseId] as const,
  detail: (id: string) => ["document", id] as const,
  passages: (id: string, page: number | null) => ["document", id, "passages", page] as const,
  passage: (id: string) => ["passage", id] as const,
};

// What a reader may read can change at any time: nothing of a document's content outlives its page.
const CONTENT = { gcTime: 60_000, staleTime: 30_000 };

export function useDocuments(knowledge_base_id: string) {
  return useInfiniteQuery({
    queryKey: documentKeys.list(knowledge_base_id),
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      unwrap(
        api.GET("/api/v1/knowledge-bases/{knowledge_base_id}/documents", {
          params: { path: { knowledge_base_id }, query: pageParam ? { cursor: pageParam } : {} },
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
}

export function useDocument(document_id: string) {
  return useQuery({
    ...CONTENT,
    queryKey: documentKeys.detail(document_id),
    queryFn: () => unwrap(api.GET("/api/v1/documents/{document_id}", { params: { path: { document_id } } })),
  });
}

/** The passages of a document in order, or those of one page. */
export function usePassages(document_id: string, page: number | null) {
  return useInfiniteQuery({
    ...CONTENT,
    queryKey: documentKeys.passages(document_id, page),
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      unwrap(
        api.GET("/api/v1/documents/{document_id}/passages", {
          params: {
            path: { document_id },
            query: { ...(page !== null && { page }), ...(pageParam && { cursor: pageParam }) },
          },
        }),
      ),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
}

export function usePassage(passage_id: string) {
  return useQuery({
    ...CONTENT,
    queryKey: documentKeys.passage(passage_id),
    queryFn: () => unwrap(api.GET("/api/v1/passages/{passage_id}", { params: { path: { passage_id } } })),
  });
}

export function useDeleteDocument(document_id: string, knowledgeBaseId: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () =>
      unwrap(api.DELETE("/api/v1/documents/{document_id}", { params: { path: { document_id } } })),
    onSuccess: () => {
      queries.removeQueries({ queryKey: documentKeys.detail(document_id) });
      // Deletion is accepted before it is done; until then the listing may still hold the document.
      queries.setQueryData<InfiniteData<Page<Document>>>(
        documentKeys.list(knowledgeBaseId),
        (list) => list && { ...list, pages: list.pages.map((page) => without(page, document_id)) },
      );
      void queries.invalidateQueries({ queryKey: knowledgeBaseKeys.list });
    },
  });
}

function without(page: Page<Document>, documentId: string): Page<Document> {
  return { ...page, items: page.items.filter(({ id }) => id !== documentId) };
}
