import { describe, expect, test } from "vitest";
import type { AnswerEvent } from "@/api/types";
import { answer, citation } from "@/test/samples";
import { reduceAnswer, startLiveAnswer } from "./live-answer";

function after(...events: AnswerEvent[]) {
  return events.reduce((live, event, index) => reduceAnswer(live, event, index + 1), startLiveAnswer("Why?"));
}

const START: AnswerEvent = { type: "start", answer_id: "ans_1", conversation_id: "cnv_1" };

describe("an answer in flight", () => {
  test("learns its id from the first event", () => {
    expect(after(START)).toMatchObject({ question: "Why?", answerId: "ans_1", lastEventId: 1 });
  });

  test("says what is being done, and how many passages are read", () => {
    expect(after(START, { type: "phase", phase: "searching" })).toMatchObject({
      phase: "searching",
      passages: null,
    });
    const reading = after(START, { type: "phase", phase: "reading", passages: 6 });
    expect(reading).toMatchObject({ phase: "reading", passages: 6 });
    expect(reduceAnswer(reading, { type: "phase", phase: "writing", passages: null }, 3).passages).toBe(6);
  });

  test("collects text until a finished sentence replaces it", () => {
    const typing = after(START, { type: "text", text: "You ha" }, { type: "text", text: "ve 25" });
    expect(typing.preview).toBe("You have 25");
    const sentence = { text: "You have 25 days.", citations: [1] };
    const done = reduceAnswer(typing, { type: "sentence", index: 0, sentence }, 4);
    expect(done).toMatchObject({ preview: "", sentences: [sentence] });
  });

  test("keeps citations by number, the later one for the same number", () => {
    const live = after(
      { type: "citation", citation: citation({ n: 2 }) },
      { type: "citation", citation: citation({ n: 1, quote: "old" }) },
      { type: "citation", citation: citation({ n: 1, quote: "new" }) },
    );
    expect(live.citations.map(({ n, quote }) => [n, quote])).toEqual([
      [1, "new"],
      [2, "Employees have 25 days of annual leave."],
    ]);
  });

  test("forgets its text on a reset and says why", () => {
    const live = after(
      { type: "sentence", index: 0, sentence: { text: "Wrong.", citations: [] } },
      { type: "text", text: "More wro" },
      { type: "reset", reason: "unsupported" },
    );
    expect(live).toMatchObject({ sentences: [], preview: "", resetReason: "unsupported" });
  });

  test("ends with the whole answer", () => {
    expect(after(START, { type: "done", answer: answer() }).final).toEqual(answer());
  });

  test("takes no event in twice after a resume", () => {
    const live = after(START, { type: "text", text: "once" });
    expect(reduceAnswer(live, { type: "text", text: "once" }, 2)).toBe(live);
    expect(reduceAnswer(live, { type: "text", text: " more" }, 3).preview).toBe("once more");
  });

  test("replaces a sentence that is sent again with its index, and what stood after it", () => {
    const live = after(
      { type: "sentence", index: 0, sentence: { text: "A.", citations: [] } },
      { type: "sentence", index: 1, sentence: { text: "B.", citations: [] } },
      { type: "sentence", index: 0, sentence: { text: "C.", citations: [1] } },
    );
    expect(live.sentences.map(({ text }) => text)).toEqual(["C."]);
  });
});
