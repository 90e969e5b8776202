import type { Answer, Citation, Sentence } from "@/api/types";
import { plainText } from "./plain-text";

const CJK = /[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]/;
const LIST_ITEM = /^\s*([-*•]|\d{1,3}[.)、])\s+/;

/** The language of a text for the `lang` attribute: fonts and screen readers differ by it. */
export function languageOf(text: string): "zh-CN" | "en" {
  const letters = [...text].filter((character) => /\p{L}/u.test(character));
  const chinese = letters.filter((character) => CJK.test(character)).length;
  return chinese * 4 > letters.length ? "zh-CN" : "en";
}

/** What stands between two sentences: a space, unless both sides are Chinese. */
export function gapBetween(before: string, after: string): string {
  return CJK.test(before.trimEnd().slice(-1)) || CJK.test(after.trimStart().slice(0, 1)) ? "" : " ";
}

export interface Block {
  kind: "paragraph" | "item";
  sentences: Sentence[];
}

/** Sentences in paragraphs: a list item, or a line break before the sentence, starts a new one. */
export function blocksOf(sentences: Sentence[]): Block[] {
  const blocks: Block[] = [];
  let last: Block | undefined;
  let breakNext = false;
  for (const sentence of sentences) {
    const isItem = LIST_ITEM.test(sentence.text);
    if (!last || isItem || breakNext || /^\s*\n/.test(sentence.text)) {
      last = { kind: isItem ? "item" : "paragraph", sentences: [] };
      blocks.push(last);
    }
    last.sentences.push(sentence);
    breakNext = /\n\s*$/.test(sentence.text);
  }
  return blocks;
}

/** The bullet or number that a list item shows; undefined for a paragraph. */
export function listMarker(block: Block): string | undefined {
  const marker = LIST_ITEM.exec(block.sentences[0]?.text ?? "")?.[1];
  return marker && /^[-*]$/.test(marker) ? "•" : marker;
}

export function withoutMarker(text: string): string {
  return text.replace(LIST_ITEM, "");
}

/** Said text that no finished sentence holds, as an answer has that was stopped in mid-sentence. */
export function unfinishedText(answer: Pick<Answer, "text" | "sentences">): string {
  const last = answer.sentences.at(-1);
  if (!last) return answer.text;
  const at = answer.text.lastIndexOf(last.text);
  return at < 0 ? "" : answer.text.slice(at + last.text.length).trim();
}

/** The citations that some sentence stands on, in order of number. */
export function usedCitations(answer: Pick<Answer, "sentences" | "citations">): Citation[] {
  const used = new Set(answer.sentences.flatMap(({ citations }) => citations));
  return answer.citations.filter(({ n }) => used.has(n)).toSorted((a, b) => a.n - b.n);
}

interface CopyWords {
  sources: string;
  notice: string;
  page: (page: number) => string;
}

/** The answer as text to paste elsewhere: numbered sources below it, and who wrote it. */
export function copyText(answer: Answer, words: CopyWords): string {
  const body = blocksOf(answer.sentences)
    .map(({ sentences }) =>
      sentences
        .map(withNumbers)
        .reduce((a, b) => a + gapBetween(a, b) + b, "")
        .trim(),
    )
    .join("\n\n");
  const sources = usedCitations(answer).map(({ n, document, page }) =>
    [`[${n}] ${document}`, page === null ? [] : words.page(page)].flat().join(", "),
  );
  const rest = unfinishedText(answer);
  const parts = [body, rest, sources.length ? `${words.sources}\n${sources.join("\n")}` : ""];
  if (answer.mode === "generated") parts.push(words.notice);
  return parts.filter(Boolean).join("\n\n");
}

function withNumbers({ text, citations }: Sentence): string {
  return plainText(text) + (citations.length ? ` ${citations.map((n) => `[${n}]`).join("")}` : "");
}
