import { Alert, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { type HeldOutScore, verdictOf } from "../lib/result";

const COLOUR = { better: "pine", unclear: "gray", worse: "cinnabar" } as const;

/** Whether the model got better at what it did not learn from, and how sure that is. */
export function HeldOut({ score }: { score: HeldOutScore }) {
  const { t } = useTranslation();
  const verdict = verdictOf(score);
  const { before, after, low, high, examples } = score;
  return (
    <Alert
      color={COLOUR[verdict]}
      variant="light"
      title={t(`training.verdict.${verdict}`)}
      data-testid="held-out"
      data-verdict={verdict}
    >
      <Text size="sm">
        {t("training.heldOut", {
          what: t(`training.score.${score.name}`),
          before: before.toFixed(3),
          after: after.toFixed(3),
          low: low.toFixed(3),
          high: high.toFixed(3),
          count: examples,
        })}
      </Text>
    </Alert>
  );
}
