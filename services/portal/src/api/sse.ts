import { createParser } from "eventsource-parser";

export interface ServerEvent {
  /** Counts from 1 within one answer; null when the server sent none. */
  id: number | null;
  data: string;
}

/** Read server-sent events until the stream ends. */
export async function* readEvents(stream: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const ready: ServerEvent[] = [];
  const parser = createParser({
    onEvent: ({ id, data }) => ready.push({ id: id === undefined ? null : Number(id), data }),
  });
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  try {
    for (;;) {
      // Each chunk depends on the one before it.
      // oxlint-disable-next-line no-await-in-loop
      const { done, value } = await reader.read();
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      yield* ready.splice(0);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
