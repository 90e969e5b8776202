interface SignIn {
  /** Where to go afterwards. */
  next: string;
  /** The language of the provider's page. */
  language: string;
  /** Ask which account, although the provider may still know one: after signing out. */
  isSwitching: boolean;
}

/** Where the browser goes to sign in, and from there back to `next`. */
export function signInUrl({ next, language, isSwitching }: SignIn): string {
  const query = new URLSearchParams({ next: localPath(next), ui_locales: language });
  if (isSwitching) query.set("prompt", "select_account");
  return `/api/v1/auth/login?${query.toString()}`;
}

/** A path on this origin; anything else would be an open redirect. */
export function localPath(next: string): string {
  return /^\/(?![/\\])/.test(next) && !next.startsWith("/login") ? next : "/";
}
