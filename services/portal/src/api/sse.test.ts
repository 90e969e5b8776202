import { expect, test } from "vitest";
import { readEvents, type ServerEvent } from "./sse";

function inPieces(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });
}

test.each([1, 2, 5, 1000])("events arrive whole when the network cuts them every %i bytes", async (size) => {
  const text =
    ': ping\n\nid: 1\nevent: text\ndata: {"text":"知库"}\n\nid: 2\r\ndata: a\r\ndata: b\r\n\r\ndata: no number\n\n';
  const events: ServerEvent[] = [];
  for await (const event of readEvents(inPieces(new TextEncoder().encode(text), size))) events.push(event);
  expect(events).toEqual([
    { id: 1, data: '{"text":"知库"}' },
    { id: 2, data: "a\nb" },
    { id: null, data: "no number" },
  ]);
});
