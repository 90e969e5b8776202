import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Answer } from "@/api/types";
import type { AnswerStream } from "../lib/answer-streams";
import { usedCitations } from "../lib/answer-text";
import { usePhaseText } from "./usePhaseText";

/** What the status region says: each phase while an answer comes, its outcome at the end; no single word. */
export function useAnnouncement(stream: AnswerStream | undefined, last: Answer | undefined): string {
  const { t } = useTranslation();
  const phase = usePhaseText(stream);
  const [awaited, setAwaited] = useState<string | null>(null);
  const answerId = stream?.live.answerId ?? null;
  if (answerId && answerId !== awaited) setAwaited(answerId);
  if (stream) return stream.state === "failed" ? t("answer.failed") : phase;
  if (!last || last.id !== awaited) return "";
  if (last.state === "stopped") return t("answer.stopped");
  if (last.state === "failed") return t("answer.failed");
  if (last.mode === "no_evidence") return t("answer.readyNoEvidence");
  const count = usedCitations(last).length;
  return count === 0 ? t("answer.readyNone") : t("answer.ready", { count });
}
