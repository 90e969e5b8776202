import { Checkbox, NativeSelect, NumberInput, TextInput } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { useNames } from "../hooks/useNames";
import type { RecipeField, Value } from "../lib/recipe-fields";

interface Props {
  field: RecipeField;
  value: Value;
  onChange: (value: Value) => void;
}

/** Asks for one thing of a recipe in the form that its kind wants. */
export function RecipeInput({ field, value, onChange }: Props) {
  const { t } = useTranslation();
  const named = useNames();
  const { name, kind, isRequired, choices, least, most } = field;
  const common = { label: named("field", name), required: isRequired, "data-testid": `recipe-${name}` };
  if (kind === "yes")
    return (
      <Checkbox
        {...common}
        checked={value === true}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
    );
  if (kind === "choice")
    return (
      <NativeSelect
        {...common}
        data={value === null ? [{ value: "", label: "—" }, ...choices] : choices}
        value={String(value ?? "")}
        onChange={(event) => onChange(event.currentTarget.value)}
      />
    );
  if (kind === "text")
    return (
      <TextInput
        {...common}
        description={t("training.nameHelp")}
        maxLength={40}
        value={String(value ?? "")}
        onChange={(event) => onChange(event.currentTarget.value)}
        data-autofocus
      />
    );
  return (
    <NumberInput
      {...common}
      {...(least !== undefined && { min: least })}
      {...(most !== undefined && { max: most })}
      placeholder={value === null ? t("training.own") : ""}
      allowDecimal={kind === "number"}
      decimalScale={8}
      value={typeof value === "boolean" ? "" : (value ?? "")}
      onChange={onChange}
    />
  );
}
