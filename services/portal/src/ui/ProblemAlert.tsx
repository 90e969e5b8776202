import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { asProblem } from "@/api/problem";
import { useProblemText } from "./useProblemText";

/** An error with its code and remedy, and a way to try again. */
export function ProblemAlert({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const { t } = useTranslation();
  const problem = asProblem(error);
  const { detail, remedy } = useProblemText()(problem);
  return (
    <Alert
      role="alert"
      color="cinnabar"
      variant="light"
      icon={<IconAlertTriangle />}
      title={detail}
      data-testid="problem"
    >
      <Stack gap={6}>
        <Text size="sm">{remedy}</Text>
        <Group justify="space-between">
          <Text size="xs" c="dimmed" ff="monospace">
            {t("error.code", { code: problem.code })}
          </Text>
          {onRetry && (
            <Button size="compact-sm" variant="default" onClick={onRetry}>
              {t("common.retry")}
            </Button>
          )}
        </Group>
      </Stack>
    </Alert>
  );
}
