/** Lines of running text that were wrapped are at least this wide; Chinese characters count twice. */
const FULL_LINE = 60;
const ENDS = /[。！？；：.!?;:…”’」』）)]$/u;
const ITEM =
  /^(?:[-•*·▪●○|]|\(?\d{1,2}[.)、．）]|[一二三四五六七八九十]{1,3}[、.]|[（(][一二三四五六七八九十\d]{1,3}[）)])/u;
const CHINESE = /[\u2e80-\u9fff\uff00-\uffef]/u;

/** Take out the line breaks that stand in the midst of a sentence, as a file wrapped at 72 characters has them. */
export function unwrap(text: string): string {
  return text.split("\n").reduce((before, line) => {
    const last = before.slice(before.lastIndexOf("\n") + 1);
    if (!goesOn(last, line)) return `${before}\n${line}`;
    const isChinese = CHINESE.test(last.slice(-1)) && CHINESE.test(line.slice(0, 1));
    return `${before}${isChinese ? "" : " "}${line}`;
  });
}

function goesOn(before: string, after: string): boolean {
  if (before === "" || after === "" || ENDS.test(before) || ITEM.test(after)) return false;
  const width = [...before].reduce((sum, character) => sum + (character > "\u2e7f" ? 2 : 1), 0);
  return width >= FULL_LINE || (width > FULL_LINE / 2 && /^\p{Ll}/u.test(after));
}
