import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { Case } from "@/api/types";

export type Shown = "waiting" | "mine" | "decided";

const ALL = ["reviews"] as const;
const detail = (id: string) => [...ALL, "one", id] as const;
const path = (case_id: string) => ({ params: { path: { case_id } } });
const QUERY = {
  waiting: {},
  mine: { mine: true },
  decided: { state: "decided" },
} as const;

/** How often a page looks for what others did. */
const LOOK_EVERY_MS = 15_000;

export function useCases(shown: Shown) {
  return useInfiniteQuery({
    queryKey: [...ALL, "list", shown],
    queryFn: ({ pageParam: cursor }) =>
      unwrap(api.GET("/api/v1/review-cases", { params: { query: { ...QUERY[shown], cursor } } })),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: LOOK_EVERY_MS,
  });
}

export function useFigures() {
  return useQuery({
    queryKey: [...ALL, "figures"],
    queryFn: () => unwrap(api.GET("/api/v1/review-figures")),
  });
}

export function useCase(id: string) {
  return useQuery({
    queryKey: detail(id),
    queryFn: () => unwrap(api.GET("/api/v1/review-cases/{case_id}", path(id))),
    refetchInterval: LOOK_EVERY_MS,
  });
}

/** What an answer stands on, as a reviewer sees it: who asked and what is masked. Looking is recorded. */
export function useReconstruction(answer_id: string, enabled: boolean) {
  return useQuery({
    queryKey: [...ALL, "receipt", answer_id],
    enabled,
    queryFn: () => unwrap(api.GET("/api/v1/receipts/{answer_id}", { params: { path: { answer_id } } })),
  });
}

/** Every step answers with the case as it is then. */
function useStep<Given>(id: string, step: (given: Given) => Promise<Case>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: step,
    onSuccess: (found) => {
      queries.setQueryData(detail(id), found);
      return queries.invalidateQueries({ queryKey: ALL });
    },
  });
}

export function useClaim(id: string) {
  return useStep(id, () => unwrap(api.POST("/api/v1/review-cases/{case_id}/claim", path(id))));
}

export function useRelease(id: string) {
  return useStep(id, () => unwrap(api.POST("/api/v1/review-cases/{case_id}/release", path(id))));
}

export function useEscalate(id: string) {
  return useStep(id, (reason: string) =>
    unwrap(api.POST("/api/v1/review-cases/{case_id}/escalate", { ...path(id), body: { reason } })),
  );
}

export function useDecide(id: string) {
  return useStep(id, (decision: { verdict: "confirmed" | "dismissed"; reason: string }) =>
    unwrap(api.POST("/api/v1/review-cases/{case_id}/decide", { ...path(id), body: decision })),
  );
}
