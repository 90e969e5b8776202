/** A text cut into pieces, those of the quote marked. */
export interface Piece {
  text: string;
  isMarked: boolean;
}

/** Mark a quote in a text, white space apart; a quote that does not occur marks nothing. */
export function markQuote(text: string, quote: string): Piece[] {
  const words = quote.trim().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [{ text, isMarked: false }];
  const match = new RegExp(words.map(escape).join("\\s*"), "u").exec(text);
  if (!match) return [{ text, isMarked: false }];
  return [
    { text: text.slice(0, match.index), isMarked: false },
    { text: match[0], isMarked: true },
    { text: text.slice(match.index + match[0].length), isMarked: false },
  ].filter((piece) => piece.text !== "");
}

/** Mark each occurrence of a question's words; Chinese, which has no spaces, goes by runs of two. */
export function markWords(text: string, question: string): Piece[] {
  const latin = question.match(/[\p{Script=Latin}\p{N}]{2,}/gu) ?? [];
  const chinese = question.match(/\p{Script=Han}+/gu)?.flatMap(pairs) ?? [];
  const words = [...new Set([...latin, ...chinese])].toSorted((a, b) => b.length - a.length);
  if (words.length === 0) return [{ text, isMarked: false }];
  const pattern = new RegExp(`((?:${words.map(escape).join("|")})+)`, "giu");
  return text
    .split(pattern)
    .map((piece, index) => ({ text: piece, isMarked: index % 2 === 1 }))
    .filter((piece) => piece.text !== "");
}

function pairs(run: string): string[] {
  const characters = [...run];
  if (characters.length <= 2) return [run];
  return characters.slice(1).map((character, index) => `${characters[index] ?? ""}${character}`);
}

function escape(word: string): string {
  return word.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
