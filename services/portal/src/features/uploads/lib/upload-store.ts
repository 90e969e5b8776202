import type { ProblemError } from "@/api/problem";

/** A file on its way to the server; once stored there it is a document version and leaves this list. */
export interface Upload {
  key: string;
  knowledgeBaseId: string;
  file: File;
  readers: string[] | null;
  percent: number;
  problem: ProblemError | null;
}

let uploads: readonly Upload[] = [];
const listeners = new Set<() => void>();

function set(next: readonly Upload[]): void {
  uploads = next;
  for (const listener of listeners) listener();
}

/** The uploads of this tab: they go on, and what became of them stays, whatever page is open. */
export const uploadStore = {
  all: () => uploads,
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  add: (added: readonly Upload[]) => set([...added, ...uploads]),
  change: (key: string, part: Partial<Upload>) =>
    set(uploads.map((upload) => (upload.key === key ? { ...upload, ...part } : upload))),
  dismiss: (key: string) => set(uploads.filter((upload) => upload.key !== key)),
};
