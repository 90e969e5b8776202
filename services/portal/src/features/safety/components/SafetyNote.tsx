import { Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import type { SafetyCategory } from "@/api/types";
import { useFormat } from "@/i18n/format";

interface Props {
  kind: "warning" | "withheld";
  categories: SafetyCategory[];
}

/** The categories that content safety found, in the reader's words; nothing if there are none. */
export function SafetyNote({ kind, categories }: Props) {
  const { t } = useTranslation();
  const format = useFormat();
  if (categories.length === 0) return null;
  const names = format.list(categories.map((category) => t(`safety.category.${category}`)));
  return (
    <Text size="xs" my={4} role="note" data-testid="safety-note">
      <IconAlertTriangle size={14} aria-hidden style={{ verticalAlign: "-2px" }} />{" "}
      {t(`safety.${kind}`, { categories: names })}
    </Text>
  );
}
