interface SignIn {
  /** Where to go afterwards. */
  next: string;
  /** The language of the provider's page. */
  language: string;
}

/** Where the browser goes to sign in, and from there back to `next`. */
export function signInUrl({ next, language }: SignIn): string {
  const query = new URLSearchParams({ next: localPath(next), ui_locales: language });
  return `/api/v1/auth/login?${query.toString()}`;
}

/** Where the browser goes to confirm who it is, and from there back to `next`; `loginUrl` is the server's. */
export function confirmUrl(loginUrl: string, next: string): string {
  return `${localPath(loginUrl)}&${new URLSearchParams({ next: localPath(next) }).toString()}`;
}

/** A path on this origin; anything else would be an open redirect. */
export function localPath(next: string): string {
  return /^\/(?![/\\])/.test(next) && !next.startsWith("/login") ? next : "/";
}
