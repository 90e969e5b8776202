import type { TrainingRun } from "@/api/types";

/** `low` and `high` bound the change from before to after, at 95 %. */
export interface HeldOutScore {
  name: "loss" | "pair_loss" | "margin" | "reward";
  examples: number;
  before: number;
  after: number;
  low: number;
  high: number;
}

export interface RunResult {
  digest: string;
  manifest: string;
  steps: number;
  seconds: number;
  peak_bytes: number;
  trained_parameters: number;
  held_out: HeldOutScore | null;
  served_on: string[];
}

/** What came of a run; the API leaves its form to the service that trains. */
export function resultOf({ result }: TrainingRun): RunResult | null {
  return result as RunResult | null;
}

const FEW_EXAMPLES = 10;

/** Losses shall fall, the others rise; of a change whose bounds hold zero, or of few examples, nobody can be sure. */
export function verdictOf({ name, examples, low, high }: HeldOutScore): "better" | "worse" | "unclear" {
  if (examples < FEW_EXAMPLES) return "unclear";
  const [least, most] = name === "loss" || name === "pair_loss" ? [-high, -low] : [low, high];
  if (least > 0) return "better";
  return most < 0 ? "worse" : "unclear";
}
