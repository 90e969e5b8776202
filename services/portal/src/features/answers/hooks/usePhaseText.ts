import { useTranslation } from "react-i18next";
import type { AnswerStream } from "../lib/answer-streams";

/** What the assistant is doing, in words. */
export function usePhaseText(stream: AnswerStream | undefined): string {
  const { t } = useTranslation();
  if (!stream || stream.state === "failed") return "";
  if (stream.state === "reconnecting") return t("phase.reconnecting");
  if (stream.state === "stopping") return t("phase.stopping");
  const { phase, passages } = stream.live;
  if (phase === null) return t("phase.starting");
  if (phase !== "reading") return t(`phase.${phase}`);
  return passages === null ? t("phase.readingSome") : t("phase.reading", { count: passages });
}
