import type { Answer, Citation } from "@/api/types";
import type { AnswerStream } from "@/features/answers/lib/answer-streams";
import { usedCitations } from "@/features/answers/lib/answer-text";

export interface OpenCitation {
  answerId: string;
  citation: Citation;
  /** All citations of the same answer, to step through. */
  citations: Citation[];
}

/** The citation that the address names as `ANSWER:NUMBER`; null if there is none such on the page. */
export function parseCite(
  cite: string | undefined,
  answers: Answer[],
  stream: AnswerStream | undefined,
): OpenCitation | null {
  const [answerId, number] = split(cite);
  if (!answerId) return null;
  const answer = answers.find(({ id }) => id === answerId);
  const said = answer ?? (stream?.live.answerId === answerId ? stream.live : undefined);
  if (!said) return null;
  const citations = usedCitations(said);
  const citation = citations.find(({ n }) => n === number);
  return citation ? { answerId, citation, citations } : null;
}

/** The number of the open citation, if it belongs to this answer. */
export function openNumber(cite: string | undefined, answerId: string | null): number | null {
  const [id, number] = split(cite);
  return answerId !== null && id === answerId ? number : null;
}

function split(cite: string | undefined): [string, number] {
  const at = cite?.lastIndexOf(":") ?? -1;
  return cite && at > 0 ? [cite.slice(0, at), Number(cite.slice(at + 1))] : ["", 0];
}
