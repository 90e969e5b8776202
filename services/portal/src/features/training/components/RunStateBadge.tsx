import { Badge } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { TrainingState } from "@/api/types";

const COLOUR: Record<TrainingState, string> = {
  queued: "gray",
  running: "pine",
  cancelling: "gray",
  done: "pine",
  failed: "cinnabar",
  cancelled: "gray",
};

export function RunStateBadge({ state }: { state: TrainingState }) {
  const { t } = useTranslation();
  return (
    <Badge
      color={COLOUR[state]}
      variant={state === "running" ? "filled" : "light"}
      tt="none"
      radius="sm"
      data-testid="run-state"
      data-state={state}
    >
      {t(`training.state.${state}`)}
    </Badge>
  );
}
