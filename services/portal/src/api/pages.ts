import type { Page } from "./types";

/** Follow a listing to its end. Only for listings that are short by nature, such as knowledge bases. */
export async function everyPage<T>(
  fetchPage: (cursor: string | undefined) => Promise<Page<T>>,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    // A page's cursor comes from the page before it.
    // oxlint-disable-next-line no-await-in-loop
    const page = await fetchPage(cursor);
    items.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return items;
}
