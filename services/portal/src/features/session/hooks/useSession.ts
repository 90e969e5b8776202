import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, setCsrfToken, unwrap } from "@/api/client";
import { isSignedOut } from "@/api/problem";
import type { Session } from "@/api/types";

/** The signed-in user, or null for a stranger. */
export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async (): Promise<Session | null> => {
    try {
      const session = await unwrap(api.GET("/api/v1/session"));
      setCsrfToken(session.csrf_token);
      return session;
    } catch (error) {
      if (isSignedOut(error)) return null;
      throw error;
    }
  },
  staleTime: 5 * 60_000,
  refetchOnWindowFocus: true,
});

export function useSession() {
  return useQuery(sessionQuery);
}

export function useSignOut() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/auth/logout")),
    onSuccess: () => {
      setCsrfToken(null);
      queries.clear();
      queries.setQueryData(sessionQuery.queryKey, null);
    },
  });
}
