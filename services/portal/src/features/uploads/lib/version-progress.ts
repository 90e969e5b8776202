import type { DocumentVersion, VersionState } from "@/api/types";

const FINAL: ReadonlySet<VersionState> = new Set([
  "indexed",
  "failed",
  "quarantined",
  "cancelled",
  "superseded",
]);
const STAGES: VersionState[] = ["preflight", "parsing", "embedding", "publishing"];

export function isFinal(version: Pick<DocumentVersion, "state">): boolean {
  return FINAL.has(version.state);
}

export function isProblem(version: Pick<DocumentVersion, "state">): boolean {
  return version.state === "failed" || version.state === "quarantined";
}

/** Whether trying again may end better: the same bytes of a damaged file never do. */
export function mayRetry({ state, reason }: Pick<DocumentVersion, "state" | "reason">): boolean {
  return state === "cancelled" || (isProblem({ state }) && reason?.may_pass_later !== false);
}

/**
 * How far a version is in its whole way, 0 to 100: each stage is a quarter, filled by its units. Null
 * while the stage does not know how much there is to do.
 */
export function percentDone(version: Pick<DocumentVersion, "state" | "progress">): number | null {
  if (version.state === "indexed") return 100;
  const stage = STAGES.indexOf(version.state);
  if (stage < 0) return version.state === "queued" ? 0 : null;
  const { done, total } = version.progress;
  const share = total ? Math.min(1, (done ?? 0) / total) : 0;
  return Math.round((100 * (stage + share)) / STAGES.length);
}

export type VersionFilter = "all" | "active" | "problems";

export function matchesFilter(version: DocumentVersion, filter: VersionFilter): boolean {
  if (filter === "active") return !isFinal(version);
  if (filter === "problems") return isProblem(version);
  return version.state !== "superseded";
}
