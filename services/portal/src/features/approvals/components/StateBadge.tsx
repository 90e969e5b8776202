import { Badge } from "@mantine/core";
import classes from "./StateBadge.module.css";
import { useTranslation } from "react-i18next";
import type { Approval, ApprovalState } from "@/api/types";

const COLOUR: Record<ApprovalState, string> = {
  waiting: "gray",
  approved: "pine",
  refused: "cinnabar",
  expired: "gray",
  used: "gray",
  withdrawn: "gray",
};

/** The state in a word; what was begun and never finished stands out. */
export function StateBadge({ approval: { state, completed_at, is_break_glass } }: { approval: Approval }) {
  const { t } = useTranslation();
  const isUnfinished = state === "used" && completed_at === null;
  return (
    <>
      {is_break_glass && (
        <Badge color="cinnabar" variant="filled" tt="none" radius="sm">
          {t("approvals.breakGlass")}
        </Badge>
      )}
      <Badge
        color={isUnfinished ? "cinnabar" : COLOUR[state]}
        variant="light"
        className={classes.badge ?? ""}
        tt="none"
        radius="sm"
        data-testid="approval-state"
        data-state={state}
      >
        {isUnfinished ? t("approvals.unfinished") : t(`approvals.state.${state}`)}
      </Badge>
    </>
  );
}
