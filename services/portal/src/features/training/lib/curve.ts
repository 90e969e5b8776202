import type { TrainingEvent } from "@/api/types";

export interface Point {
  step: number;
  loss: number;
  reward: number | null;
}

/** The loss at each step; a run that went on after a stop told some steps twice, and the last word counts. */
export function curveOf(events: TrainingEvent[]): Point[] {
  const points = new Map<number, Point>();
  for (const { kind, step, loss, reward } of events)
    if (kind === "step" && typeof step === "number" && typeof loss === "number")
      points.set(step, { step, loss, reward: reward ?? null });
  return [...points.values()].toSorted((one, other) => one.step - other.step);
}
