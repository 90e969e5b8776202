import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useState } from "react";
import { asProblem, isSignedOut, type ProblemError } from "@/api/problem";
import { sessionQuery } from "@/features/session/hooks/useSession";
import { newIdempotencyKey, sendFile } from "../lib/send-file";
import { versionKeys } from "./useVersions";

/** A file on its way to the server; once stored there it is a document version and leaves this list. */
export interface Upload {
  key: string;
  file: File;
  readers: string[] | null;
  percent: number;
  problem: ProblemError | null;
}

const AT_ONCE = 3;

export function useUploads(knowledgeBaseId: string) {
  const queries = useQueryClient();
  const [uploads, setUploads] = useState<Upload[]>([]);

  const change = useCallback((key: string, part: Partial<Upload>) => {
    setUploads((all) => all.map((upload) => (upload.key === key ? { ...upload, ...part } : upload)));
  }, []);
  const dismiss = useCallback((key: string) => {
    setUploads((all) => all.filter((upload) => upload.key !== key));
  }, []);

  const send = useCallback(
    async ({ key, file, readers }: Upload) => {
      change(key, { percent: 0, problem: null });
      try {
        await sendFile({ knowledgeBaseId, file, readers, idempotencyKey: key }, (percent) =>
          change(key, { percent }),
        );
        // A first listing that is still under way may be older than the file, and would not be asked for again.
        await queries.cancelQueries({ queryKey: versionKeys.list(knowledgeBaseId) });
        await queries.invalidateQueries({ queryKey: versionKeys.list(knowledgeBaseId) });
        dismiss(key);
      } catch (error) {
        if (isSignedOut(error)) queries.setQueryData(sessionQuery.queryKey, null);
        change(key, { problem: asProblem(error) });
      }
    },
    [knowledgeBaseId, queries, change, dismiss],
  );

  const add = useCallback(
    (files: File[], readers: string[] | null) => {
      const added = files.map((file) => ({
        key: newIdempotencyKey(),
        file,
        readers,
        percent: 0,
        problem: null,
      }));
      setUploads((all) => [...added, ...all]);
      void inTurns(added, send);
    },
    [send],
  );
  return { uploads, add, retry: send, dismiss };
}

/** Do the work for all, a few at once, in order. */
async function inTurns<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    // Each worker takes its next only when it is done with the one before.
    // oxlint-disable-next-line no-await-in-loop
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
