import { Button, Checkbox, Popover, ScrollArea, Stack, Text } from "@mantine/core";
import { IconBooks, IconChevronDown } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { useKnowledgeBases } from "@/features/knowledge-bases/hooks/useKnowledgeBases";
import classes from "./ScopePicker.module.css";

interface Props {
  /** Ids of knowledge bases; empty means everything that the reader may read. */
  value: string[];
  onChange: (knowledgeBaseIds: string[]) => void;
}

/** Which knowledge bases a question goes to. */
export function ScopePicker({ value, onChange }: Props) {
  const { t } = useTranslation();
  const { data: knowledgeBases = [] } = useKnowledgeBases();
  const chosen = knowledgeBases.filter(({ id }) => value.includes(id));
  const label =
    value.length === 0
      ? t("scope.all")
      : chosen.length === 1
        ? (chosen[0]?.name ?? "")
        : t("scope.some", { count: value.length });
  return (
    <Popover position="top-start" shadow="md" width={300} trapFocus>
      <Popover.Target>
        <Button
          variant="subtle"
          color="gray"
          size="compact-sm"
          className={classes.button ?? ""}
          leftSection={<IconBooks size={16} />}
          rightSection={<IconChevronDown size={14} />}
          aria-label={`${t("scope.label")}: ${label}`}
          data-testid="scope"
        >
          {label}
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label={t("scope.title")}>
        <Text fw={600} size="sm" mb="xs">
          {t("scope.title")}
        </Text>
        {knowledgeBases.length === 0 && <Text size="sm">{t("scope.empty")}</Text>}
        <Checkbox
          label={t("scope.everything")}
          checked={value.length === 0}
          onChange={() => onChange([])}
          mb="xs"
          data-autofocus
        />
        <ScrollArea.Autosize mah={240} type="auto">
          <Checkbox.Group value={value} onChange={onChange}>
            <Stack gap="xs">
              {knowledgeBases.map(({ id, name }) => (
                <Checkbox key={id} value={id} label={name} data-testid="scope-option" />
              ))}
            </Stack>
          </Checkbox.Group>
        </ScrollArea.Autosize>
      </Popover.Dropdown>
    </Popover>
  );
}
