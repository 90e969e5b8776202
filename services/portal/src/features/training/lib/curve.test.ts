import { expect, test } from "vitest";
import type { TrainingEvent } from "@/api/types";
import { curveOf } from "./curve";

const event = (given: Partial<TrainingEvent>): TrainingEvent => ({ kind: "step", at: 0, ...given });

test("a step told twice counts once, with its last loss, and in order", () => {
  const told = [
    event({ kind: "measured", step: 0, held_out: 3 }),
    event({ step: 2, loss: 2 }),
    event({ step: 3, loss: 1.5 }),
    event({ kind: "checkpoint", step: 2 }),
    event({ step: 3, loss: 1.4, reward: 0.5 }),
    event({ step: 1, loss: 3 }),
  ];
  expect(curveOf(told)).toEqual([
    { step: 1, loss: 3, reward: null },
    { step: 2, loss: 2, reward: null },
    { step: 3, loss: 1.4, reward: 0.5 },
  ]);
});
