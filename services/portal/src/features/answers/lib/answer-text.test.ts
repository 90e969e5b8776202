import { describe, expect, test } from "vitest";
import { answer, citation } from "@/test/samples";
import {
  blocksOf,
  copyText,
  gapBetween,
  languageOf,
  listMarker,
  unfinishedText,
  usedCitations,
} from "./answer-text";
import { plainText } from "./plain-text";

const say = (...texts: string[]) => texts.map((text) => ({ text, citations: [] }));

describe("the text of an answer", () => {
  test.each([
    ["年假可以跨年使用吗？", "zh-CN"],
    ["How many days?", "en"],
    ["Zhiku 平台的使用说明", "zh-CN"],
    ["The word 知库 means knowledge base.", "en"],
  ])("the language of %j is %s", (text, language) => {
    expect(languageOf(text)).toBe(language);
  });

  test("English sentences are set apart by a space, Chinese ones are not", () => {
    expect(gapBetween("One.", "Two.")).toBe(" ");
    expect(gapBetween("第一句。", "第二句。")).toBe("");
  });

  test("list items and line breaks start a new block", () => {
    const blocks = blocksOf(say("Two things:", "- Ask your manager.", "1. Wait.", "\nThen go.", "Now."));
    expect(blocks.map(({ kind, sentences }) => [kind, sentences.length])).toEqual([
      ["paragraph", 1],
      ["item", 1],
      ["item", 1],
      ["paragraph", 2],
    ]);
    expect(blocks.map(listMarker)).toEqual([undefined, "•", "1.", undefined]);
  });

  test("what was said after the last finished sentence is not lost", () => {
    const stopped = { text: "You have 25 days. More than", sentences: say("You have 25 days.") };
    expect(unfinishedText(stopped)).toBe("More than");
    expect(unfinishedText({ text: "You ha", sentences: [] })).toBe("You ha");
    expect(unfinishedText({ text: "You have 25 days.", sentences: say("You have 25 days.") })).toBe("");
  });

  test("only citations that a sentence stands on are sources", () => {
    const said = answer({ citations: [citation({ n: 2 }), citation({ n: 1 })] });
    expect(usedCitations(said).map(({ n }) => n)).toEqual([1]);
  });

  test("a copy carries numbers, sources and who wrote it", () => {
    const words = { sources: "Sources", notice: "AI-generated", page: (page: number) => `page ${page}` };
    const said = answer({
      text: "You have **25** days. Ask HR.",
      sentences: [
        { text: "You have **25** days.", citations: [1] },
        { text: "Ask HR.", citations: [] },
      ],
    });
    expect(copyText(said, words)).toBe(
      "You have 25 days. [1] Ask HR.\n\nSources\n[1] Leave policy, page 3\n\nAI-generated",
    );
    expect(copyText(answer({ mode: "extractive" }), words)).not.toContain("AI-generated");
  });

  test("plain text keeps words and drops marks, addresses and images", () => {
    expect(
      plainText("**Bold** `code` [words](https://evil.example) ![pixel](https://evil.example/p.png)<b>x</b>"),
    ).toBe("Bold code words x");
  });
});
