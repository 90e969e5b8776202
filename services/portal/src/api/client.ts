import createClient, { type Middleware } from "openapi-fetch";
import { asProblem, problemOf, toProblem } from "./problem";
import type { paths } from "./schema";

let csrfToken: string | null = null;

/** Remember the session's token; every request that changes something carries it. */
export function setCsrfToken(token: string | null): void {
  csrfToken = token;
}

/** Headers that a request outside the typed client (a stream, an upload) must carry. */
export function csrfHeaders(): Record<string, string> {
  return csrfToken ? { "X-CSRF-Token": csrfToken } : {};
}

const protect: Middleware = {
  onRequest({ request }) {
    if (request.method !== "GET") {
      for (const [name, value] of Object.entries(csrfHeaders())) request.headers.set(name, value);
    }
    return request;
  },
  onError: ({ error }) => asProblem(error),
};

// `fetch` is looked up at each call, and the origin given, so that tests can put their own in place.
export const api = createClient<paths>({
  baseUrl: window.location.origin,
  credentials: "same-origin",
  fetch: (request) => globalThis.fetch(request),
});
api.use(protect);

/** The body of a successful call. Raises `ProblemError` for anything else. */
export async function unwrap<T>(
  call: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw toProblem(response.status, error);
  return data as T;
}

/** Open an event stream. Raises `ProblemError` when the server refuses or nothing answers. */
export async function openStream(
  path: string,
  init: RequestInit,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const headers = new Headers(init.headers);
  headers.set("Accept", "text/event-stream");
  if (init.method === "POST")
    for (const [name, value] of Object.entries(csrfHeaders())) headers.set(name, value);
  const response = await globalThis.fetch(path, { ...init, headers, credentials: "same-origin" });
  if (!response.ok) throw await problemOf(response);
  if (!response.body) throw new TypeError("the response has no body");
  return response.body;
}
