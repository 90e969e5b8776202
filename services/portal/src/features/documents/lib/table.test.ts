import { expect, test } from "vitest";
import { isQuoted, readTable } from "./table";

test("a table passage is read into caption, header and rows", () => {
  expect(readTable("表二 其他假别\n假别 | 天数\n婚假 | 15 天\n产假 | 158 天")).toEqual({
    caption: ["表二 其他假别"],
    header: ["假别", "天数"],
    rows: [
      ["婚假", "15 天"],
      ["产假", "158 天"],
    ],
  });
});

test("text without cells is no table", () => {
  expect(readTable("One line.\nAnother.")).toBeNull();
});

test.each([
  [["婚假", "15 天"], "婚假 | 15 天", true],
  [["婚假", "15 天", "全薪"], "婚假 | 15 天", true],
  [["产假", "158 天"], "婚假 | 15 天", false],
  [["婚假", "15 天"], "", false],
])("row %j belongs to quote %j: %s", (row, quote, expected) => {
  expect(isQuoted(row, quote)).toBe(expected);
});
