import { expect, test } from "vitest";
import { isIntact } from "./digest";

const ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

test("a text has its own digest and no other's", async () => {
  expect(await isIntact({ canonical: "abc", sha256: ABC })).toBe(true);
  expect(await isIntact({ canonical: "abd", sha256: ABC })).toBe(false);
});
