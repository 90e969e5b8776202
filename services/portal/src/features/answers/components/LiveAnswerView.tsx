import { Alert, Group, Loader, Text } from "@mantine/core";
import { IconQuote } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import type { Citation } from "@/api/types";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { usePhaseText } from "../hooks/usePhaseText";
import type { AnswerStream } from "../lib/answer-streams";
import { AnswerBody } from "./AnswerBody";
import classes from "./AnswerView.module.css";

interface Props {
  stream: AnswerStream;
  openCitation: number | null;
  onOpen: (citation: Citation) => void;
  onRetry: () => void;
}

/** An answer while it is being said: its phase, and the words so far. */
export function LiveAnswerView({ stream, openCitation, onOpen, onRetry }: Props) {
  const { t } = useTranslation();
  const { live, state } = stream;
  const phase = usePhaseText(stream);
  const isStreaming = state !== "failed";
  const said = {
    sentences: live.sentences,
    citations: live.citations,
    rest: live.preview,
    isExtractive: live.resetReason !== null,
    isStreaming,
  };
  return (
    <article
      className={classes.answer}
      aria-label={t("answer.label")}
      aria-busy={isStreaming}
      data-testid="answer"
      data-state={state === "failed" ? "failed" : "streaming"}
    >
      {isStreaming && (
        <Group gap="xs" mb={6} c="dimmed" data-testid="phase">
          <Loader size={16} type="dots" aria-hidden />
          <Text size="sm">{phase}</Text>
        </Group>
      )}
      {live.resetReason && (
        <Alert color="gray" variant="light" icon={<IconQuote />} mb="sm" py="xs">
          {t(`answer.reset.${live.resetReason}`)}
        </Alert>
      )}
      {(live.sentences.length > 0 || live.preview) && (
        <AnswerBody said={said} openCitation={openCitation} onOpen={onOpen} />
      )}
      {stream.problem && <ProblemAlert error={stream.problem} onRetry={onRetry} />}
    </article>
  );
}
