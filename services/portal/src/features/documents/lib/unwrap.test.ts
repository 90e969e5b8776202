import { describe, expect, test } from "vitest";
import { unwrap } from "./unwrap";

describe("a text that was wrapped", () => {
  test("flows, and keeps the breaks that mean something", () => {
    const text = [
      "Leave policy",
      "Every employee who has worked for seven full years may take a sabbatical",
      "of six weeks, in China as well as in the Netherlands.",
      "- It is unpaid, and social insurance contributions continue to be paid",
      "- Apply six months ahead",
      "",
      "A short line",
      "Another one",
    ].join("\n");
    expect(unwrap(text).split("\n")).toEqual([
      "Leave policy",
      "Every employee who has worked for seven full years may take a sabbatical of six weeks, in China as well as in the Netherlands.",
      "- It is unpaid, and social insurance contributions continue to be paid",
      "- Apply six months ahead",
      "",
      "A short line",
      "Another one",
    ]);
  });

  test("has no space between Chinese characters", () => {
    const line = "员工在公司连续工作满七年以后可以向直属上级申请一次为期六周的无薪长假并且";
    expect(unwrap(`${line}\n保留社会保险`)).toBe(`${line}保留社会保险`);
  });
});
