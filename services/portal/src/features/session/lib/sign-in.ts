/** Where the browser goes to sign in, and from there back to `next`. */
export function signInUrl(next: string): string {
  return `/api/v1/auth/login?next=${encodeURIComponent(localPath(next))}`;
}

/** A path on this origin; anything else would be an open redirect. */
export function localPath(next: string): string {
  return /^\/(?![/\\])/.test(next) && !next.startsWith("/login") ? next : "/";
}
