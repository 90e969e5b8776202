import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test, vi } from "vitest";
import type { TrainingDataset, TrainingMethod, TrainingRun } from "@/api/types";
import { show } from "@/test/render";
import { StartRun } from "./StartRun";

const name = { type: "string" };
const METHODS: TrainingMethod[] = [
  {
    method: "lora",
    learns_from: [],
    served_on: ["vLLM with LoRA"],
    parameters: {
      required: ["name"],
      properties: {
        name,
        learning_rate: { type: "number", default: 0.0002 },
        seed: { type: "integer", default: 1 },
      },
    },
  },
  {
    method: "rloo",
    learns_from: ["reward"],
    served_on: [],
    parameters: { required: ["name"], properties: { name } },
  },
];
const DATASET = { id: "tds_1", name: "hours", examples: 30 } as TrainingDataset;

function serve(runs: Partial<TrainingRun>[]) {
  const posted: unknown[] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "POST") {
      posted.push(await request.json());
      return Response.json({ id: "trn_2" });
    }
    if (pathname.endsWith("/training-methods")) return Response.json(METHODS);
    const items = pathname.endsWith("/training-datasets") ? [DATASET] : runs;
    return Response.json({ items, next_cursor: null });
  });
  return posted;
}

test("a run says what was changed, and nothing else", async () => {
  const posted = serve([]);
  await show(<StartRun opened onClose={() => undefined} />);
  await userEvent.type(await screen.findByTestId("recipe-name"), "hours");
  expect(screen.getByTestId("recipe-learning_rate")).toHaveValue("0.0002");
  await userEvent.clear(screen.getByTestId("recipe-learning_rate"));
  await userEvent.type(screen.getByTestId("recipe-learning_rate"), "0.01");
  await userEvent.click(screen.getByTestId("run-submit"));
  expect(posted).toEqual([
    { dataset_id: "tds_1", recipe: { method: "lora", name: "hours", learning_rate: 0.01 }, from_run: null },
  ]);
});

test("what learns from another run waits for one to be chosen, among those that it learns from", async () => {
  const posted = serve([
    { id: "trn_1", name: "judge", method: "reward", state: "done" },
    { id: "trn_0", name: "plain", method: "lora", state: "done" },
    { id: "trn_x", name: "broken", method: "reward", state: "failed" },
  ]);
  await show(<StartRun opened onClose={() => undefined} />);
  await userEvent.selectOptions(await screen.findByTestId("run-method"), "rloo");
  await userEvent.type(screen.getByTestId("recipe-name"), "liked");
  expect(screen.getByTestId("run-submit")).toBeDisabled();
  const from = screen.getByLabelText(/Learns from the run/);
  expect([...from.querySelectorAll("option")].map((option) => option.value)).toEqual(["", "trn_1"]);
  await userEvent.selectOptions(from, "trn_1");
  expect(screen.getByText("Nothing serves what comes of it by itself.")).toBeVisible();
  await userEvent.click(screen.getByTestId("run-submit"));
  expect(posted).toEqual([
    { dataset_id: "tds_1", recipe: { method: "rloo", name: "liked" }, from_run: "trn_1" },
  ]);
});
