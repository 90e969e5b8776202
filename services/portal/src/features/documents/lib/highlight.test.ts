import { describe, expect, test } from "vitest";
import { markQuote, markWords, type Piece } from "./highlight";

const shown = (pieces: Piece[]) =>
  pieces.map(({ text, isMarked }) => (isMarked ? `[${text}]` : text)).join("");

describe("marking", () => {
  test.each([
    ["You have 25 days. Ask.", "25 days", "You have [25 days]. Ask."],
    ["line one\nline two", "one line two", "line [one\nline two]"],
    [
      "- A mailbox (50 GB) holds* a+b.",
      "- A mailbox (50 GB) holds* a+b.",
      "[- A mailbox (50 GB) holds* a+b.]",
    ],
    ["第十条 加班应当事先批准。", "加班应当事先批准", "第十条 [加班应当事先批准]。"],
    ["nothing here", "absent", "nothing here"],
    ["nothing here", "  ", "nothing here"],
  ])("in %j the quote %j", (text, quote, expected) => {
    expect(shown(markQuote(text, quote))).toBe(expected);
  });

  test.each([
    ["Annual LEAVE policy", "leave policy", "Annual [LEAVE] [policy]"],
    ["未休年假可以跨年", "年假跨年", "未休[年假]可以[跨年]"],
    ["plain", "?!", "plain"],
  ])("in %j the words of %j", (text, question, expected) => {
    expect(shown(markWords(text, question))).toBe(expected);
  });
});
