import { queryOptions, useMutation, useQuery } from "@tanstack/react-query";
import { api, setCsrfToken, unwrap } from "@/api/client";
import { isSignedOut } from "@/api/problem";
import type { Session } from "@/api/types";
import { forgetDrafts } from "../lib/drafts";

/** The page as a whole: whom it shows, and how it begins anew; tests put their own in place. */
export const page = {
  user: null as string | null,
  reload: () => window.location.reload(),
};

/**
 * Hold the page to one user. Browsers share a session between tabs: when somebody else has signed in in another one,
 * everything that this page has in memory is the first user's, so it begins anew and shows nothing until it does.
 */
async function checkUser(session: Session): Promise<void> {
  if (page.user !== null && page.user !== session.sub) {
    page.reload();
    await new Promise(() => {});
  }
  page.user = session.sub;
}

/** The signed-in user, or null for a stranger. */
export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async (): Promise<Session | null> => {
    try {
      const session = await unwrap(api.GET("/api/v1/session"));
      await checkUser(session);
      setCsrfToken(session.csrf_token);
      return session;
    } catch (error) {
      if (isSignedOut(error)) return null;
      throw error;
    }
  },
  staleTime: 5 * 60_000,
  refetchOnWindowFocus: "always",
});

export function useSession() {
  return useQuery(sessionQuery);
}

/** Whether the signed-in user has a permission, such as `knowledge_base:create`. */
export function useMay(permission: string): boolean {
  const { data } = useSession();
  return data?.permissions.includes(permission) ?? false;
}

export function useSignOut() {
  return useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/auth/logout")),
    onSuccess: () => {
      forgetDrafts();
      // On to the provider, which ends its own session too, and back to a fresh page: nothing stays in memory.
      window.location.assign("/api/v1/auth/logout");
    },
  });
}
