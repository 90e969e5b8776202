import { beforeEach, describe, expect, test, vi } from "vitest";
import type { ProblemError } from "@/api/problem";
import type { Answer, AnswerEvent } from "@/api/types";
import { answer, eventStream, problemResponse } from "@/test/samples";
import { AnswerStreams } from "./answer-streams";

const START: AnswerEvent = { type: "start", answer_id: "ans_1", conversation_id: "cnv_1" };
const TEXT: AnswerEvent = { type: "text", text: "You have" };
const DONE: AnswerEvent = { type: "done", answer: answer() };

let requests: { url: string; method: string; headers: Headers; body: unknown }[];
let taken: string[];
let done: Answer[];
let problems: ProblemError[];

/** Answer the first request with the first response, and so on; an error rejects as a lost network does. */
function serve(...responses: (Response | Error)[]) {
  vi.stubGlobal("fetch", async (url: string, init: RequestInit = {}) => {
    const body: unknown = init.body ? JSON.parse(String(init.body)) : null;
    requests.push({ url, method: init.method ?? "GET", headers: new Headers(init.headers), body });
    const response = responses.shift();
    if (!response) throw new Error("one request too many");
    if (response instanceof Error) throw response;
    return response;
  });
}

function makeStreams(stop: (id: string) => Promise<Answer> = async () => answer({ state: "stopped" })) {
  return new AnswerStreams({
    onTaken: (_, question) => taken.push(question),
    onDone: (finished) => done.push(finished),
    onProblem: (problem) => problems.push(problem),
    stop,
    retryDelaysMs: [0, 0],
  });
}

beforeEach(() => {
  requests = [];
  taken = [];
  done = [];
  problems = [];
});

describe("answers in flight", () => {
  test("a question is posted with its scope and followed to its answer", async () => {
    serve(eventStream([START, TEXT, DONE]));
    const streams = makeStreams();
    await streams.ask("cnv_1", "How many days?", ["kb_1"]);
    expect(requests[0]).toMatchObject({
      url: "/api/v1/conversations/cnv_1/questions",
      method: "POST",
      body: { text: "How many days?", knowledge_base_ids: ["kb_1"] },
    });
    expect(taken).toEqual(["How many days?"]);
    expect(done).toEqual([answer()]);
    expect(streams.get("cnv_1")).toBeUndefined();
  });

  test("a lost connection is taken up after the last event seen", async () => {
    serve(eventStream([START, TEXT]), new TypeError("network"), eventStream([DONE], 3));
    await makeStreams().ask("cnv_1", "How many days?", null);
    expect(requests.map(({ url }) => url)).toEqual([
      "/api/v1/conversations/cnv_1/questions",
      "/api/v1/answers/ans_1/stream",
      "/api/v1/answers/ans_1/stream",
    ]);
    expect(requests[2]?.headers.get("Last-Event-ID")).toBe("2");
    expect(done).toHaveLength(1);
  });

  test("after a reload an unfinished answer is followed from its beginning", async () => {
    serve(eventStream([START, TEXT, DONE]));
    await makeStreams().attach("cnv_1", answer({ state: "streaming" }));
    expect(requests[0]).toMatchObject({ url: "/api/v1/answers/ans_1/stream", method: "GET" });
    expect(requests[0]?.headers.has("Last-Event-ID")).toBe(false);
    expect(done).toHaveLength(1);
  });

  test("gives up when the network stays away, and keeps what was said", async () => {
    serve(eventStream([START, TEXT]), new TypeError("network"), new TypeError("network"));
    const streams = makeStreams();
    await streams.ask("cnv_1", "How many days?", null);
    expect(streams.get("cnv_1")).toMatchObject({ state: "failed", live: { preview: "You have" } });
    expect(problems.map(({ code }) => code)).toEqual(["network"]);
  });

  test("a refused question fails at once with the server's code, and can be asked again", async () => {
    serve(problemResponse(429, "too_many_requests"), eventStream([START, DONE]));
    const streams = makeStreams();
    await streams.ask("cnv_1", "How many days?", null);
    expect(streams.get("cnv_1")).toMatchObject({ state: "failed", problem: { code: "too_many_requests" } });
    await streams.ask("cnv_1", "How many days?", null);
    expect(done).toHaveLength(1);
  });

  test("a question that never reached the server is not sent twice by itself", async () => {
    serve(new TypeError("network"));
    await makeStreams().ask("cnv_1", "How many days?", null);
    expect(requests).toHaveLength(1);
    expect(taken).toEqual([]);
  });

  test("stopping keeps what the server has", async () => {
    let push: (event: AnswerEvent) => void = () => undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        push = (event) =>
          controller.enqueue(new TextEncoder().encode(`id: 1\ndata: ${JSON.stringify(event)}\n\n`));
      },
    });
    serve(new Response(body));
    const stopped = vi.fn<(id: string) => Promise<Answer>>(async () => answer({ state: "stopped" }));
    const streams = makeStreams(stopped);
    void streams.ask("cnv_1", "How many days?", null);
    await streams.stop("cnv_1");
    expect(stopped).not.toHaveBeenCalled();
    push(START);
    await vi.waitFor(() => expect(done).toEqual([answer({ state: "stopped" })]));
    expect(stopped).toHaveBeenCalledWith("ans_1");
    expect(streams.get("cnv_1")).toBeUndefined();
  });

  test("one conversation answers one question at a time", async () => {
    serve(new Response(new ReadableStream()));
    const streams = makeStreams();
    void streams.ask("cnv_1", "First?", null);
    await streams.ask("cnv_1", "Second?", null);
    expect(requests).toHaveLength(1);
    streams.forget("cnv_1");
  });
});
