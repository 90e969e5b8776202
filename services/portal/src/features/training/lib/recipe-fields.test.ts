import { expect, test } from "vitest";
import type { TrainingMethod } from "@/api/types";
import { recipeFields, recipeOf } from "./recipe-fields";

const grpo: TrainingMethod = {
  method: "grpo",
  learns_from: [],
  served_on: [],
  parameters: {
    required: ["name", "reward"],
    properties: {
      name: { type: "string" },
      reward: { type: "string", enum: ["last_number", "same_words"] },
      epochs: { type: "number", default: 2, exclusiveMinimum: 0, maximum: 100 },
      max_steps: { anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }], default: null },
      allow_no_held_out: { type: "boolean", default: false },
    },
  },
};

test("a schema becomes fields, also where a value may be left out", () => {
  const fields = Object.fromEntries(recipeFields(grpo).map((field) => [field.name, field]));
  expect(fields["name"]).toMatchObject({ kind: "text", isRequired: true, standard: null });
  expect(fields["reward"]).toMatchObject({ kind: "choice", choices: ["last_number", "same_words"] });
  expect(fields["epochs"]).toMatchObject({ kind: "number", standard: 2, most: 100, isRequired: false });
  expect(fields["max_steps"]).toMatchObject({ kind: "whole", standard: null, least: 1 });
  expect(fields["allow_no_held_out"]).toMatchObject({ kind: "yes", standard: false });
});

test("a recipe says only what differs from the method's own", () => {
  const values = {
    name: "sums",
    reward: "last_number",
    epochs: "2.",
    max_steps: "",
    allow_no_held_out: true,
  };
  expect(recipeOf(grpo, values)).toEqual({
    method: "grpo",
    name: "sums",
    reward: "last_number",
    allow_no_held_out: true,
  });
});
