import { describe, expect, test } from "vitest";
import type { VersionState } from "@/api/types";
import { version } from "@/test/samples";
import { isFinal, matchesFilter, mayRetry, percentDone } from "./version-progress";

const progress = (done: number, total: number | null) => ({ ...version().progress, done, total });

describe("the progress of a version", () => {
  test.each<[VersionState, number, number | null, number | null]>([
    ["queued", 0, null, 0],
    ["preflight", 0, null, 0],
    ["parsing", 0, 10, 25],
    ["parsing", 5, 10, 38],
    ["embedding", 10, 10, 75],
    ["publishing", 1, 2, 88],
    ["indexed", 0, null, 100],
    ["failed", 3, 10, null],
  ])("%s with %s of %s units is %s per cent", (state, done, total, percent) => {
    expect(percentDone({ state, progress: progress(done, total) })).toBe(percent);
  });

  test("more units than announced do not pass the end of their stage", () => {
    expect(percentDone({ state: "parsing", progress: progress(12, 10) })).toBe(50);
  });

  test.each<[VersionState, boolean, boolean]>([
    ["parsing", false, false],
    ["indexed", true, false],
    ["failed", true, true],
    ["quarantined", true, true],
    ["cancelled", true, true],
    ["superseded", true, false],
  ])("%s: ended %s, may be tried again %s", (state, ended, again) => {
    expect([isFinal({ state }), mayRetry({ state, reason: null })]).toEqual([ended, again]);
  });

  test("the filters show what their names say", () => {
    const shown = (filter: "all" | "active" | "problems") =>
      (["parsing", "indexed", "failed", "superseded"] as const).filter((state) =>
        matchesFilter(version({ state }), filter),
      );
    expect(shown("all")).toEqual(["parsing", "indexed", "failed"]);
    expect(shown("active")).toEqual(["parsing"]);
    expect(shown("problems")).toEqual(["failed"]);
  });
});
