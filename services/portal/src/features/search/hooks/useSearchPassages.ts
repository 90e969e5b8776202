import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { SearchMode } from "@/api/types";

const LIMIT = 20;

/** The best passages for a query; asks nothing while the query is empty. */
export function useSearchPassages(query: string, mode: SearchMode, knowledge_base_ids: string[]) {
  return useQuery({
    queryKey: ["search", query, mode, knowledge_base_ids],
    enabled: query !== "",
    placeholderData: keepPreviousData,
    gcTime: 60_000,
    queryFn: () =>
      unwrap(
        api.POST("/api/v1/search", { body: { query, mode, knowledge_base_ids, limit: LIMIT, releases: {} } }),
      ),
  });
}
