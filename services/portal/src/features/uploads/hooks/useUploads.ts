import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, useSyncExternalStore } from "react";
import { asProblem, isSignedOut } from "@/api/problem";
import { sessionQuery } from "@/features/session/hooks/useSession";
import { newIdempotencyKey, sendFile } from "../lib/send-file";
import { uploadStore, type Upload } from "../lib/upload-store";
import { versionKeys } from "./useVersions";

const AT_ONCE = 3;

export function useUploads(knowledgeBaseId: string) {
  const queries = useQueryClient();
  const all = useSyncExternalStore(uploadStore.subscribe, uploadStore.all);
  const uploads = useMemo(
    () => all.filter((upload) => upload.knowledgeBaseId === knowledgeBaseId),
    [all, knowledgeBaseId],
  );

  const send = useCallback(
    async ({ key, file, readers, knowledgeBaseId: base }: Upload) => {
      uploadStore.change(key, { percent: 0, problem: null });
      try {
        await sendFile({ knowledgeBaseId: base, file, readers, idempotencyKey: key }, (percent) =>
          uploadStore.change(key, { percent }),
        );
        // A first listing that is still under way may be older than the file, and would not be asked for again.
        await queries.cancelQueries({ queryKey: versionKeys.list(base) });
        await queries.invalidateQueries({ queryKey: versionKeys.list(base) });
        uploadStore.dismiss(key);
      } catch (error) {
        if (isSignedOut(error)) queries.setQueryData(sessionQuery.queryKey, null);
        uploadStore.change(key, { problem: asProblem(error) });
      }
    },
    [queries],
  );

  const add = useCallback(
    (files: File[], readers: string[] | null) => {
      const added = files.map((file) => ({
        key: newIdempotencyKey(),
        knowledgeBaseId,
        file,
        readers,
        percent: 0,
        problem: null,
      }));
      uploadStore.add(added);
      void inTurns(added, send);
    },
    [knowledgeBaseId, send],
  );
  return { uploads, add, retry: send, dismiss: uploadStore.dismiss };
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
