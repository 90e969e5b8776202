import { expect, test } from "vitest";
import { isReader } from "./readers";

test.each([
  ["everyone", true],
  ["group:finance", true],
  ["user:li.na", true],
  ["finance", false],
  ["group:", false],
  ["all", false],
])("%j is a reader: %s", (text, expected) => {
  expect(isReader(text)).toBe(expected);
});
