import type { components } from "./schema";

type Schemas = components["schemas"];

/** What the assistant is doing. */
export type Phase = "rewriting" | "searching" | "reading" | "writing";

/**
 * One server-sent event of an answer. OpenAPI cannot say what an event stream carries, so these are
 * written by hand after `platform/zhiku_platform/contracts/assistant.py`, which explains them.
 */
export type AnswerEvent =
  | { type: "start"; answer_id: string; conversation_id: string }
  | { type: "phase"; phase: Phase; passages?: number | null }
  | { type: "text"; text: string }
  | { type: "citation"; citation: Schemas["Citation"] }
  | { type: "sentence"; index: number; sentence: Schemas["Sentence"] }
  | { type: "reset"; reason: "unsupported" | "model_failed" | "model_missing" | "unsafe" }
  | { type: "done"; answer: Schemas["Answer"] };
