import type { TFunction } from "i18next";
import type { Approval } from "@/api/types";

/** What an approval lets somebody do, in the reader's words. */
export function actionName(t: TFunction, action: Approval["action"]): string {
  return t(`approvals.action.${action}`);
}
