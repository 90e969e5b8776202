import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { isSignedOut, ProblemError } from "@/api/problem";
import { confirmUrl } from "@/features/session/lib/sign-in";
import { sessionQuery } from "@/features/session/hooks/useSession";

/**
 * The cache of what the server said. A 401 from anywhere ends the session, and the shell shows the login; what needs
 * a fresher login than the session's goes to confirm it, and comes back.
 */
export function makeQueryClient(): QueryClient {
  const endSession = (error: unknown) => {
    if (isSignedOut(error)) client.setQueryData(sessionQuery.queryKey, null);
    else if (error instanceof ProblemError && error.loginUrl !== undefined) {
      const { pathname, search } = window.location;
      window.location.assign(confirmUrl(error.loginUrl, pathname + search));
    }
  };
  const client = new QueryClient({
    queryCache: new QueryCache({ onError: endSession }),
    mutationCache: new MutationCache({ onError: endSession }),
    defaultOptions: { queries: { staleTime: 10_000, retry: isWorthRetrying, refetchOnWindowFocus: false } },
  });
  return client;
}

function isWorthRetrying(failures: number, error: unknown): boolean {
  const isTemporary = !(error instanceof ProblemError) || error.status === 0 || error.status >= 500;
  return isTemporary && failures < 2;
}
