import type { TrainingMethod } from "@/api/types";

export type Value = string | number | boolean | null;

/** One thing that a recipe may say, as its JSON Schema describes it. */
export interface RecipeField {
  name: string;
  kind: "whole" | "number" | "choice" | "yes" | "text";
  /** What holds where nothing is said; `null` stands for "the method's own". */
  standard: Value;
  isRequired: boolean;
  choices: string[];
  least: number | undefined;
  most: number | undefined;
}

interface Schema {
  type?: string;
  enum?: string[];
  const?: string;
  anyOf?: Schema[];
  default?: Value;
  minimum?: number;
  maximum?: number;
}

const KINDS: Record<string, RecipeField["kind"]> = { integer: "whole", number: "number", boolean: "yes" };

/** What the form of a method asks, in the order of its recipe. */
export function recipeFields({ parameters }: TrainingMethod): RecipeField[] {
  const { properties = {}, required = [] } = parameters as {
    properties?: Record<string, Schema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => {
    const said = schema.anyOf?.find(({ type }) => type !== "null") ?? schema;
    return {
      name,
      kind: said.enum ? "choice" : (KINDS[said.type ?? ""] ?? "text"),
      standard: schema.default ?? null,
      isRequired: required.includes(name),
      choices: said.enum ?? [],
      least: said.minimum,
      most: said.maximum,
    };
  });
}

/** The recipe that a form says: what was left as it stands is not said, so that the method's own holds. */
export function recipeOf(method: TrainingMethod, values: Record<string, Value>): Record<string, Value> {
  const said = recipeFields(method)
    .map((field) => ({ ...field, value: valueOf(field, values[field.name] ?? "") }))
    .filter(({ value, standard }) => value !== "" && value !== standard)
    .map(({ name, value }) => [name, value] as const);
  return { method: method.method, ...Object.fromEntries(said) };
}

/** Of what was typed as a number, the number. */
const valueOf = ({ kind }: RecipeField, typed: NonNullable<Value>) =>
  (kind === "number" || kind === "whole") && typed !== "" ? Number(typed) : typed;
