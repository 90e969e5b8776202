import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { Approval, RetentionChange, RetentionKind } from "@/api/types";

export const RETENTION = ["retention-rules"] as const;

export function useRetentionRules() {
  return useQuery({ queryKey: RETENTION, queryFn: () => unwrap(api.GET("/api/v1/retention-rules")) });
}

/** How much a rule of so many days would delete now; nothing is asked without days. */
export function useDue(kind: RetentionKind, days: number | null) {
  return useQuery({
    queryKey: [...RETENTION, kind, "due", days],
    queryFn: () =>
      unwrap(
        api.GET("/api/v1/retention-rules/{kind}/due", {
          params: { path: { kind }, query: { days: days ?? 0 } },
        }),
      ),
    enabled: days !== null,
    placeholderData: keepPreviousData,
  });
}

/** Ask two others to let a rule be changed. */
export function useAskToChange(kind: RetentionKind) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (body: RetentionChange): Promise<Approval> =>
      (await unwrap(
        api.PUT("/api/v1/retention-rules/{kind}", { params: { path: { kind } }, body }),
      )) as Approval,
    onSuccess: () => queries.invalidateQueries({ queryKey: ["approvals"] }),
  });
}
