import { Badge } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { useWaitingCount } from "../hooks/useApprovals";

/** How many approvals wait for the reader, beside the link to them. */
export function WaitingCount() {
  const { t } = useTranslation();
  const count = useWaitingCount();
  if (count === 0) return null;
  return (
    <Badge
      size="sm"
      circle={count < 10}
      color="pine"
      variant="filled"
      ms="auto"
      aria-label={`${t("approvals.tabs.to_decide")}: ${count}`}
      data-testid="approvals-waiting"
    >
      {count}
    </Badge>
  );
}
