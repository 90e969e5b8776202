import { csrfHeaders } from "@/api/client";
import { ProblemError, toProblem } from "@/api/problem";
import type { DocumentVersion } from "@/api/types";

export interface FileToSend {
  knowledgeBaseId: string;
  file: File;
  /** ACL tokens; null lets everyone who may view the knowledge base read it. */
  readers: string[] | null;
  /** The same key on a second try makes it the same upload. */
  idempotencyKey: string;
}

/**
 * Send one file, telling how much of it has left, 0 to 100. `XMLHttpRequest`, because `fetch` cannot say.
 * Rejects with `ProblemError`.
 */
export function sendFile(upload: FileToSend, onPercent: (percent: number) => void): Promise<DocumentVersion> {
  const form = new FormData();
  form.append("file", upload.file);
  if (upload.readers) form.append("readers", JSON.stringify(upload.readers));
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/v1/knowledge-bases/${encodeURIComponent(upload.knowledgeBaseId)}/uploads`);
    request.responseType = "json";
    request.setRequestHeader("Idempotency-Key", upload.idempotencyKey);
    for (const [name, value] of Object.entries(csrfHeaders())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) =>
      onPercent(total > 0 ? Math.floor((100 * loaded) / total) : 0),
    );
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) resolve(request.response as DocumentVersion);
      else reject(toProblem(request.status, request.response));
    });
    request.addEventListener("error", () => reject(new ProblemError(0, "network", "", "")));
    request.send(form);
  });
}

/** A random key; `crypto.randomUUID` is missing where the page came over plain HTTP. */
export function newIdempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
