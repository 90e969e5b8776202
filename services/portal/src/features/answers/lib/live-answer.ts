import type { Answer, AnswerEvent, Citation, Phase, Sentence } from "@/api/types";

/** An answer while it is being said: what its events have built so far. */
export interface LiveAnswer {
  question: string;
  answerId: string | null;
  /** The number of the last event taken in, to resume after it. */
  lastEventId: number;
  phase: Phase | null;
  /** How many passages are being read; null before that is known. */
  passages: number | null;
  sentences: Sentence[];
  /** Text said after the last finished sentence. */
  preview: string;
  citations: Citation[];
  resetReason: "unsupported" | "model_failed" | "model_missing" | "unsafe" | null;
  final: Answer | null;
}

export function startLiveAnswer(question: string, answerId: string | null = null): LiveAnswer {
  return {
    question,
    answerId,
    lastEventId: 0,
    phase: null,
    passages: null,
    sentences: [],
    preview: "",
    citations: [],
    resetReason: null,
    final: null,
  };
}

/** Take one event in. An event that was seen before, as after a resume, changes nothing. */
export function reduceAnswer(live: LiveAnswer, event: AnswerEvent, eventId: number | null): LiveAnswer {
  if (eventId !== null && eventId <= live.lastEventId) return live;
  return { ...live, ...changeOf(live, event), lastEventId: eventId ?? live.lastEventId };
}

function changeOf(live: LiveAnswer, event: AnswerEvent): Partial<LiveAnswer> {
  switch (event.type) {
    case "start":
      return { answerId: event.answer_id };
    case "phase":
      return { phase: event.phase, passages: event.passages ?? live.passages };
    case "text":
      return { phase: "writing", preview: live.preview + event.text };
    case "citation":
      return { citations: withCitation(live.citations, event.citation) };
    case "sentence":
      return { sentences: withSentence(live.sentences, event.index, event.sentence), preview: "" };
    case "reset":
      return { sentences: [], preview: "", resetReason: event.reason };
    case "done":
      return { final: event.answer };
  }
}

function withCitation(citations: Citation[], added: Citation): Citation[] {
  return [...citations.filter(({ n }) => n !== added.n), added].toSorted((a, b) => a.n - b.n);
}

function withSentence(sentences: Sentence[], index: number, sentence: Sentence): Sentence[] {
  const copy = sentences.slice(0, index);
  copy.push(sentence);
  return copy;
}
