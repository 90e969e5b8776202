import { Badge, Group, Text, Tooltip } from "@mantine/core";
import { IconPlayerStop, IconQuote, IconSearchOff, IconSparkles } from "@tabler/icons-react";
import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import type { Answer, AnswerMode, Citation } from "@/api/types";
import { SourceList } from "@/features/citations/components/SourceList";
import { ReceiptButton } from "@/features/receipts/components/ReceiptButton";
import { SafetyNote } from "@/features/safety/components/SafetyNote";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { CopyButton } from "@/ui/CopyButton";
import { ProblemError } from "@/api/problem";
import { copyText, unfinishedText, usedCitations } from "../lib/answer-text";
import { AnswerBody } from "./AnswerBody";
import classes from "./AnswerView.module.css";
import { NoEvidence } from "./NoEvidence";

const FeedbackButtons = lazy(() => import("@/features/feedback/components/FeedbackButtons"));
const AppealButton = lazy(() => import("./AppealButton"));
const WITHHELD = new Set(["question_blocked", "answer_withheld"]);

interface Props {
  answer: Answer;
  openCitation: number | null;
  onOpen: (citation: Citation) => void;
  onAskAgain: (() => void) | undefined;
}

/** An answer that is complete, was stopped, or failed. */
export function AnswerView({ answer, openCitation, onOpen, onAskAgain }: Props) {
  const { t } = useTranslation();
  const rest = unfinishedText(answer);
  const hasText = answer.sentences.length > 0 || rest !== "";
  const sources = usedCitations(answer);
  const said = {
    sentences: answer.sentences,
    citations: answer.citations,
    rest,
    isExtractive: answer.mode === "extractive",
    isStreaming: false,
  };
  return (
    <article
      className={classes.answer}
      aria-label={t("answer.label")}
      data-testid="answer"
      data-state={answer.state}
      data-mode={answer.mode ?? ""}
    >
      <Group gap="xs" mb={6}>
        {(hasText || answer.mode === "no_evidence") && <ModeBadge mode={answer.mode} />}
        {answer.state === "stopped" && (
          <Text size="sm" c="dimmed" className={classes.state}>
            <IconPlayerStop size={15} aria-hidden /> {t("answer.stopped")}
          </Text>
        )}
      </Group>
      {answer.mode === "no_evidence" ? (
        <NoEvidence searched={answer.searched} />
      ) : (
        hasText && <AnswerBody said={said} openCitation={openCitation} onOpen={onOpen} />
      )}
      {answer.state === "failed" && <Failure answer={answer} onAskAgain={onAskAgain} />}
      <SourceList
        heading={
          answer.mode === "no_evidence"
            ? t("answer.noEvidence.nearest")
            : t("answer.sourcesCount", { count: sources.length })
        }
        citations={sources}
        openCitation={openCitation}
        onOpen={onOpen}
      />
      <AnswerFooter answer={answer} hasText={hasText} />
    </article>
  );
}

const MODES = { generated: IconSparkles, extractive: IconQuote, no_evidence: IconSearchOff };

export function ModeBadge({ mode }: { mode: AnswerMode | null }) {
  const { t } = useTranslation();
  if (!mode) return null;
  const Icon = MODES[mode];
  return (
    <Tooltip label={t(`answer.modeHint.${mode}`)} multiline maw={280}>
      <Badge
        variant="default"
        size="lg"
        radius="sm"
        tt="none"
        fw={500}
        leftSection={<Icon size={14} aria-hidden />}
        data-testid="answer-mode"
        tabIndex={0}
      >
        {t(`answer.mode.${mode}`)}
      </Badge>
    </Tooltip>
  );
}

function Failure({ answer, onAskAgain }: Pick<Props, "answer" | "onAskAgain">) {
  const { code, detail, remedy } = answer.problem ?? { code: "interrupted", detail: "", remedy: "" };
  const error = new ProblemError(0, code, detail, remedy);
  return (
    <>
      <ProblemAlert error={error} {...(onAskAgain && { onRetry: onAskAgain })} />
      {WITHHELD.has(code) && <SafetyNote kind="withheld" categories={answer.problem?.categories ?? []} />}
      {WITHHELD.has(code) && (
        <Suspense fallback={null}>
          <AppealButton answerId={answer.id} />
        </Suspense>
      )}
    </>
  );
}

function AnswerFooter({ answer, hasText }: { answer: Answer; hasText: boolean }) {
  const { t } = useTranslation();
  const seconds = ((answer.timings_ms["total"] ?? 0) / 1000).toFixed(1);
  const words = {
    sources: t("answer.sources"),
    notice: t("answer.copyNotice"),
    page: (page: number) => t("common.page", { page }),
  };
  return (
    <Group gap="xs" mt={4} className={classes.footer}>
      {answer.state !== "streaming" && <ReceiptButton answerId={answer.id} />}
      {answer.state !== "streaming" && (
        <Suspense fallback={null}>
          <FeedbackButtons answer={answer} />
        </Suspense>
      )}
      {hasText && <CopyButton label={t("answer.copy")} text={() => copyText(answer, words)} />}
      {answer.mode === "generated" && <Text size="xs">{t("chat.notice")}</Text>}
      {seconds !== "0.0" && <Text size="xs">{t("answer.seconds", { seconds })}</Text>}
    </Group>
  );
}
