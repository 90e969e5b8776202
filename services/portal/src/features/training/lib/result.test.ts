import { expect, test } from "vitest";
import { type HeldOutScore, verdictOf } from "./result";

const score = (name: HeldOutScore["name"], low: number, high: number): HeldOutScore => ({
  name,
  examples: 20,
  before: 1,
  after: 1,
  low,
  high,
});

test.each([
  ["loss", -0.4, -0.1, "better"],
  ["loss", -0.4, 0.1, "unclear"],
  ["pair_loss", 0.1, 0.4, "worse"],
  ["margin", 0.1, 0.4, "better"],
  ["reward", -0.4, -0.1, "worse"],
  ["reward", -0.4, 0.1, "unclear"],
] as const)("%s between %d and %d is %s", (name, low, high, expected) => {
  expect(verdictOf(score(name, low, high))).toBe(expected);
});

test("of few examples nothing is sure", () => {
  expect(verdictOf({ ...score("loss", -0.4, -0.1), examples: 3 })).toBe("unclear");
});
