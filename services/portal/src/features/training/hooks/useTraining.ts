import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { NewTrainingRun, TrainingEvent, TrainingRun } from "@/api/types";

const POLL_MS = 2000;
const EVENTS_AT_ONCE = 1000;
const RUNS = ["training-runs"] as const;
const DATASETS = ["training-datasets"] as const;

/** Whether nothing more will happen to a run. */
export const hasEnded = ({ state }: TrainingRun) =>
  state === "done" || state === "failed" || state === "cancelled";

/** Runs, the newest first; asked again while one of them goes on. */
export function useRuns() {
  return useInfiniteQuery({
    queryKey: RUNS,
    queryFn: ({ pageParam: cursor }) =>
      unwrap(api.GET("/api/v1/training-runs", { params: { query: { cursor } } })),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: ({ state }) =>
      state.data?.pages.some(({ items }) => !items.every(hasEnded)) ? POLL_MS : false,
  });
}

export function useRun(run_id: string) {
  return useQuery({
    queryKey: [...RUNS, run_id],
    queryFn: () => unwrap(api.GET("/api/v1/training-runs/{run_id}", { params: { path: { run_id } } })),
    refetchInterval: ({ state }) => (state.data && hasEnded(state.data) ? false : POLL_MS),
  });
}

/** What a run has told so far; each time only what is new is asked for. */
export function useRunEvents(run: TrainingRun) {
  const queries = useQueryClient();
  const queryKey = [...RUNS, run.id, "events"];
  return useQuery({
    // Once more at its end: the last words come with it.
    queryKey: [...queryKey, hasEnded(run)],
    queryFn: async () => {
      const told = queries.getQueryData<TrainingEvent[]>(queryKey) ?? [];
      const all = [...told, ...(await eventsAfter(run.id, told.length))];
      queries.setQueryData(queryKey, all);
      return all;
    },
    refetchInterval: hasEnded(run) ? false : POLL_MS,
  });
}

async function eventsAfter(run_id: string, after: number): Promise<TrainingEvent[]> {
  const query = { after, limit: EVENTS_AT_ONCE };
  const path = { path: { run_id } };
  const some = await unwrap(api.GET("/api/v1/training-runs/{run_id}/events", { params: { ...path, query } }));
  if (some.length < EVENTS_AT_ONCE) return some;
  return [...some, ...(await eventsAfter(run_id, after + some.length))];
}

export function useMethods() {
  return useQuery({
    queryKey: ["training-methods"],
    queryFn: () => unwrap(api.GET("/api/v1/training-methods")),
    staleTime: Infinity,
  });
}

export function useStartRun() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: NewTrainingRun) => unwrap(api.POST("/api/v1/training-runs", { body })),
    onSuccess: () => queries.invalidateQueries({ queryKey: RUNS }),
  });
}

export function useCancelRun(run_id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () =>
      unwrap(api.POST("/api/v1/training-runs/{run_id}/cancel", { params: { path: { run_id } } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: RUNS }),
  });
}

export function useDatasets() {
  return useInfiniteQuery({
    queryKey: DATASETS,
    queryFn: ({ pageParam: cursor }) =>
      unwrap(api.GET("/api/v1/training-datasets", { params: { query: { cursor } } })),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
}

export function useDataset(dataset_id: string) {
  return useQuery({
    queryKey: [...DATASETS, dataset_id],
    queryFn: () =>
      unwrap(api.GET("/api/v1/training-datasets/{dataset_id}", { params: { path: { dataset_id } } })),
  });
}

interface NewDataset {
  name: string;
  licence: string;
  file: File;
}

export function useUploadDataset() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ name, licence, file }: NewDataset) =>
      unwrap(
        api.POST("/api/v1/training-examples/uploads", {
          params: { query: { name, ...(licence && { licence }) } },
          headers: { "Content-Type": "application/octet-stream" },
          body: "",
          bodySerializer: () => file,
        }),
      ),
    onSuccess: () => queries.invalidateQueries({ queryKey: DATASETS }),
  });
}
