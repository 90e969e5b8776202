import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { Approval, NewHold } from "@/api/types";

const ALL = ["legal-holds"] as const;

export function useHolds(with_released: boolean) {
  return useInfiniteQuery({
    queryKey: [...ALL, "list", with_released],
    queryFn: ({ pageParam: cursor }) =>
      unwrap(api.GET("/api/v1/legal-holds", { params: { query: { with_released, cursor } } })),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
}

export function usePlaceHold() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: NewHold) => unwrap(api.POST("/api/v1/legal-holds", { body })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ALL }),
  });
}

/** Ask two others to let a hold be lifted. */
export function useAskToLift(hold_id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (reason: string): Promise<Approval> => {
      const path = { params: { path: { hold_id } }, body: { reason } };
      return (await unwrap(api.POST("/api/v1/legal-holds/{hold_id}/release", path))) as Approval;
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: ["approvals"] }),
  });
}
