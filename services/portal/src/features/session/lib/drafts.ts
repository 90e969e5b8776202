const PREFIX = "zhiku.draft.";

/** The name of a draft: one for each user and conversation, for a browser may serve several people. */
export function draftName(sub: string | undefined, conversationId: string | undefined): string {
  return `${sub ?? ""}.${conversationId ?? "new"}`;
}

/** What was typed and not sent; it outlives a reload and an expired session. */
export function readDraft(name: string): string {
  try {
    return localStorage.getItem(PREFIX + name) ?? "";
  } catch {
    return "";
  }
}

export function writeDraft(name: string, text: string): void {
  try {
    if (text) localStorage.setItem(PREFIX + name, text);
    else localStorage.removeItem(PREFIX + name);
  } catch {
    // Storage is full or blocked: the draft lives as long as the page.
  }
}

/** Forget everything typed: the next person at this browser must not find it. */
export function forgetDrafts(): void {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
  } catch {
    // Storage is blocked: there is nothing to forget.
  }
}
