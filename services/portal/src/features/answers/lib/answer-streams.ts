import { openStream } from "@/api/client";
import { asProblem, ProblemError } from "@/api/problem";
import { readEvents } from "@/api/sse";
import type { Answer, AnswerEvent } from "@/api/types";
import { type LiveAnswer, reduceAnswer, startLiveAnswer } from "./live-answer";

/** One conversation's answer in flight, as the page shows it. */
export interface AnswerStream {
  live: LiveAnswer;
  state: "streaming" | "reconnecting" | "stopping" | "failed";
  problem: ProblemError | null;
}

type Open = () => ReturnType<typeof openStream>;

interface Options {
  /** The server has taken the question. */
  onTaken: (conversationId: string, question: string) => void;
  /** The whole answer is known: keep it where answers are kept. Runs before the stream is forgotten. */
  onDone: (answer: Answer) => void;
  /** A call failed for good. */
  onProblem: (problem: ProblemError) => void;
  stop: (answerId: string) => Promise<Answer>;
  /** Pauses before each attempt to attach again, in milliseconds. */
  retryDelaysMs?: readonly number[];
}

const RETRY_DELAYS_MS = [300, 1000, 2000, 4000, 8000];

/**
 * The answers in flight, by conversation. They live outside the page, so that an answer goes on while
 * its reader looks at something else.
 */
export class AnswerStreams {
  private readonly streams = new Map<string, AnswerStream>();
  private readonly aborts = new Map<string, AbortController>();
  private readonly listeners = new Set<() => void>();

  constructor(private readonly options: Options) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  get(conversationId: string): AnswerStream | undefined {
    return this.streams.get(conversationId);
  }

  /** Ask, and follow the answer. Does nothing while another answer of the conversation is in flight. */
  async ask(conversationId: string, question: string, knowledgeBaseIds: string[] | null): Promise<void> {
    if (this.isBusy(conversationId)) return;
    const signal = this.begin(conversationId, startLiveAnswer(question));
    await this.follow(conversationId, signal, () =>
      openStream(`/api/v1/conversations/${encodeURIComponent(conversationId)}/questions`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ text: question, knowledge_base_ids: knowledgeBaseIds }),
        signal,
      }),
    );
  }

  /** Follow an answer that was already being said, as after a reload. */
  async attach(conversationId: string, answer: Answer): Promise<void> {
    if (this.isBusy(conversationId)) return;
    const signal = this.begin(conversationId, startLiveAnswer(answer.question, answer.id));
    await this.follow(conversationId, signal, () => this.resume(conversationId, signal));
  }

  /** Stop saying; what was said stays. Before the server has named the answer, it waits for the name. */
  async stop(conversationId: string): Promise<void> {
    const stream = this.streams.get(conversationId);
    if (!stream || stream.state === "failed") return;
    this.update(conversationId, { state: "stopping" });
    if (stream.live.answerId) await this.requestStop(conversationId, stream.live.answerId);
  }

  /** Forget a stream that failed, or whose conversation is gone. */
  forget(conversationId: string): void {
    this.aborts.get(conversationId)?.abort();
    this.aborts.delete(conversationId);
    if (this.streams.delete(conversationId)) this.notify();
  }

  private isBusy(conversationId: string): boolean {
    const stream = this.streams.get(conversationId);
    return stream !== undefined && stream.state !== "failed";
  }

  private begin(conversationId: string, live: LiveAnswer): AbortSignal {
    const abort = new AbortController();
    this.aborts.set(conversationId, abort);
    this.streams.set(conversationId, { live, state: "streaming", problem: null });
    this.notify();
    return abort.signal;
  }

  private async follow(conversationId: string, signal: AbortSignal, open: Open): Promise<void> {
    const delays = this.options.retryDelaysMs ?? RETRY_DELAYS_MS;
    let attempt = open;
    for (let failures = 0; ;) {
      const before = this.streams.get(conversationId)?.live.lastEventId ?? 0;
      try {
        // Attempts follow each other; the next one resumes where this one ended.
        // oxlint-disable-next-line no-await-in-loop
        await this.read(conversationId, await attempt());
      } catch (error) {
        if (signal.aborted) return;
        const problem = asProblem(error);
        if (problem.status !== 0 || !this.streams.get(conversationId)?.live.answerId) {
          this.fail(conversationId, problem);
          return;
        }
      }
      const stream = this.streams.get(conversationId);
      if (signal.aborted || !stream) return;
      if (stream.live.lastEventId > before) failures = 0;
      const delay = delays[failures++];
      if (delay === undefined || !stream.live.answerId) {
        this.fail(conversationId, new ProblemError(0, "network", "", ""));
        return;
      }
      if (stream.state === "streaming") this.update(conversationId, { state: "reconnecting" });
      // oxlint-disable-next-line no-await-in-loop
      await new Promise((resolve) => setTimeout(resolve, delay));
      if (signal.aborted) return;
      attempt = () => this.resume(conversationId, signal);
    }
  }

  private resume(conversationId: string, signal: AbortSignal): ReturnType<typeof openStream> {
    const { answerId, lastEventId } = this.streams.get(conversationId)!.live;
    const headers: Record<string, string> = lastEventId > 0 ? { "Last-Event-ID": String(lastEventId) } : {};
    return openStream(`/api/v1/answers/${encodeURIComponent(answerId ?? "")}/stream`, { headers, signal });
  }

  private async read(conversationId: string, body: ReadableStream<Uint8Array>): Promise<void> {
    for await (const { id, data } of readEvents(body)) {
      const stream = this.streams.get(conversationId);
      if (!stream) return;
      const event = JSON.parse(data) as AnswerEvent;
      const live = reduceAnswer(stream.live, event, id);
      if (live.final) {
        this.finish(conversationId, live.final);
        return;
      }
      this.update(conversationId, {
        live,
        state: stream.state === "reconnecting" ? "streaming" : stream.state,
      });
      if (event.type === "start") this.options.onTaken(conversationId, live.question);
      if (event.type === "start" && stream.state === "stopping")
        await this.requestStop(conversationId, event.answer_id);
    }
  }

  private async requestStop(conversationId: string, answerId: string): Promise<void> {
    try {
      const answer = await this.options.stop(answerId);
      if (answer.state !== "streaming" && this.streams.has(conversationId))
        this.finish(conversationId, answer);
    } catch (error) {
      this.update(conversationId, { state: "streaming" });
      this.options.onProblem(asProblem(error));
    }
  }

  private finish(conversationId: string, answer: Answer): void {
    this.options.onDone(answer);
    this.forget(conversationId);
  }

  private fail(conversationId: string, problem: ProblemError): void {
    this.update(conversationId, { state: "failed", problem });
    this.options.onProblem(problem);
  }

  private update(conversationId: string, change: Partial<AnswerStream>): void {
    const stream = this.streams.get(conversationId);
    if (!stream) return;
    this.streams.set(conversationId, { ...stream, ...change });
    this.notify();
  }

  private notify(): void {
    for (const listener of this.listeners) listener();
  }
}
