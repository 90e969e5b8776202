import type { Answer, AnswerEvent, Citation, DocumentVersion } from "@/api/types";

/** A citation of page 3 of the leave policy, except for what is given. */
export function citation(given: Partial<Citation> = {}): Citation {
  return {
    n: 1,
    passage_id: "pas_1",
    document_id: "doc_1",
    document: "Leave policy",
    knowledge_base_id: "kb_1",
    heading_path: ["Annual leave"],
    page: 3,
    regions: [],
    quote: "Employees have 25 days of annual leave.",
    score: 0.8,
    ...given,
  };
}

/** A finished, generated answer of one cited sentence, except for what is given. */
export function answer(given: Partial<Answer> = {}): Answer {
  return {
    id: "ans_1",
    conversation_id: "cnv_1",
    question: "How many days of leave?",
    rewritten_question: null,
    state: "done",
    mode: "generated",
    text: "You have 25 days.",
    sentences: [{ text: "You have 25 days.", citations: [1] }],
    citations: [citation()],
    searched: ["Handbook"],
    timings_ms: { total: 1200 },
    problem: null,
    created_at: "2026-11-01T08:00:00Z",
    ...given,
  };
}

/** A version that waits to be read, except for what is given. */
export function version(given: Partial<DocumentVersion> = {}): DocumentVersion {
  return {
    id: "ver_1",
    document_id: "doc_1",
    knowledge_base_id: "kb_1",
    source_id: null,
    path: "report.pdf",
    title: "report.pdf",
    media_type: "application/pdf",
    size_bytes: 1_500_000,
    content_hash: "sha256:0",
    state: "queued",
    attempt: 1,
    progress: { done: 0, total: null, eta_s: null, heartbeat_at: null, queue_position: null },
    passages: null,
    reason: null,
    notes: [],
    unchanged: false,
    created_at: "2026-11-01T08:00:00Z",
    updated_at: "2026-11-01T08:00:00Z",
    ...given,
  };
}

/** A response that streams events, numbered from `first`. */
export function eventStream(events: AnswerEvent[], first = 1): Response {
  const text = events
    .map((event, index) => `id: ${first + index}\ndata: ${JSON.stringify(event)}\n\n`)
    .join("");
  return new Response(text, { headers: { "Content-Type": "text/event-stream" } });
}

export function problemResponse(status: number, code: string): Response {
  const body = {
    type: `urn:zhiku:error:${code}`,
    title: code,
    status,
    detail: "It went wrong.",
    code,
    remedy: "Wait.",
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/problem+json" },
  });
}
