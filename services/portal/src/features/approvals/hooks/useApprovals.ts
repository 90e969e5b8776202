import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { Approval, RetentionKind } from "@/api/types";
import { knowledgeBaseKeys } from "@/features/knowledge-bases/hooks/useKnowledgeBases";
import { useMay } from "@/features/session/hooks/useSession";

export type Whose = "mine" | "to_decide" | "all";

const ALL = ["approvals"] as const;
const detail = (id: string) => [...ALL, "one", id] as const;
const path = (approval_id: string) => ({ params: { path: { approval_id } } });

/** How often a page looks for the decisions of others. */
const LOOK_EVERY_MS = 15_000;

export function useApprovals(whose: Whose) {
  return useInfiniteQuery({
    queryKey: [...ALL, "list", whose],
    queryFn: ({ pageParam: cursor }) =>
      unwrap(api.GET("/api/v1/approvals", { params: { query: { whose, cursor } } })),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: LOOK_EVERY_MS,
  });
}

/** How many wait for the reader's decision; a page at most is counted. */
export function useWaitingCount(): number {
  const query = { whose: "to_decide", state: "waiting", limit: 50 } as const;
  const { data } = useQuery({
    queryKey: [...ALL, "waiting"],
    queryFn: () => unwrap(api.GET("/api/v1/approvals", { params: { query } })),
    enabled: useMay("approval:decide"),
    refetchInterval: 60_000,
  });
  return data?.items.length ?? 0;
}

export function useApproval(id: string) {
  return useQuery({
    queryKey: detail(id),
    queryFn: () => unwrap(api.GET("/api/v1/approvals/{approval_id}", path(id))),
    refetchInterval: LOOK_EVERY_MS,
  });
}

/** Every step answers with the approval as it is then. */
function useStep<Given>(id: string, step: (given: Given) => Promise<Approval>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: step,
    onSuccess: (approval) => {
      queries.setQueryData(detail(id), approval);
      return queries.invalidateQueries({ queryKey: ALL });
    },
  });
}

export function useApprove(id: string) {
  return useStep(id, (digest: string) =>
    unwrap(api.POST("/api/v1/approvals/{approval_id}/approve", { ...path(id), body: { digest } })),
  );
}

export function useRefuse(id: string) {
  return useStep(id, (reason: string) =>
    unwrap(api.POST("/api/v1/approvals/{approval_id}/refuse", { ...path(id), body: { reason } })),
  );
}

export function useWithdraw(id: string) {
  return useStep(id, () => unwrap(api.POST("/api/v1/approvals/{approval_id}/withdraw", path(id))));
}

/** Ask two others to let a knowledge base be deleted. */
export function useAskToDelete(knowledge_base_id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (reason: string): Promise<Approval> => {
      const asked = await unwrap(
        api.POST("/api/v1/knowledge-bases/{knowledge_base_id}/deletion", {
          params: { path: { knowledge_base_id } },
          body: { reason },
        }),
      );
      return asked as Approval;
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: ALL }),
  });
}

/** Lift the legal hold that an approval is for. */
export function useLiftApproved({ id, resource, reason }: Approval) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () =>
      unwrap(
        api.POST("/api/v1/legal-holds/{hold_id}/release", {
          params: { path: { hold_id: resource.id }, query: { approval: id } },
          body: { reason },
        }),
      ),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["legal-holds"] });
      return queries.invalidateQueries({ queryKey: ALL });
    },
  });
}

/** Change the retention rule that an approval is for, to what was approved. */
export function useChangeRetentionApproved({ id, resource, reason, terms }: Approval) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () =>
      unwrap(
        api.PUT("/api/v1/retention-rules/{kind}", {
          params: { path: { kind: resource.id as RetentionKind }, query: { approval: id } },
          body: { days: (terms?.["days"] ?? null) as number | null, reason },
        }),
      ),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["retention-rules"] });
      return queries.invalidateQueries({ queryKey: ALL });
    },
  });
}

/** Delete the knowledge base that an approval is for. */
export function useDeleteApproved({ id, resource, reason }: Approval) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () =>
      unwrap(
        api.POST("/api/v1/knowledge-bases/{knowledge_base_id}/deletion", {
          params: { path: { knowledge_base_id: resource.id }, query: { approval: id } },
          body: { reason },
        }),
      ),
    onSuccess: () => {
      queries.removeQueries({ queryKey: knowledgeBaseKeys.detail(resource.id) });
      void queries.invalidateQueries({ queryKey: knowledgeBaseKeys.list, exact: true });
      return queries.invalidateQueries({ queryKey: ALL });
    },
  });
}
