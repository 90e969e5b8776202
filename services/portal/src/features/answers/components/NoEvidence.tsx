import { Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import classes from "./NoEvidence.module.css";

/** Says plainly that nothing fits, and names what was searched. */
export function NoEvidence({ searched }: { searched: string[] }) {
  const { t } = useTranslation();
  return (
    <Stack gap={8} className={classes.box} data-testid="no-evidence">
      <Text fw={600}>{t("answer.noEvidence.title")}</Text>
      {searched.length > 0 ? (
        <div>
          <Text size="sm">{t("answer.noEvidence.searched")}</Text>
          <ul className={classes.list}>
            {searched.map((name) => (
              <li key={name}>{name}</li>
            ))}
          </ul>
        </div>
      ) : (
        <Text size="sm">{t("answer.noEvidence.searchedNone")}</Text>
      )}
      <Text size="sm" c="dimmed">
        {t("answer.noEvidence.hints")}
      </Text>
    </Stack>
  );
}
