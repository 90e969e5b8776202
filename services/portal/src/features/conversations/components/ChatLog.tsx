import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconArrowDown, IconPencil, IconRefresh } from "@tabler/icons-react";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import type { Answer, Citation } from "@/api/types";
import { AnswerView } from "@/features/answers/components/AnswerView";
import { LiveAnswerView } from "@/features/answers/components/LiveAnswerView";
import type { AnswerStream } from "@/features/answers/lib/answer-streams";
import { languageOf } from "@/features/answers/lib/answer-text";
import { openNumber } from "@/features/citations/lib/cite";
import { useStickToBottom } from "../hooks/useStickToBottom";
import classes from "./ChatLog.module.css";

interface Props {
  answers: Answer[];
  stream: AnswerStream | undefined;
  openCite: string | undefined;
  onOpen: (answerId: string, citation: Citation) => void;
  onEdit: (question: string) => void;
  onAskAgain: (question: string) => void;
  onRetry: () => void;
}

/** The questions and answers of a conversation, the newest last. */
export function ChatLog({ answers, stream, openCite, onOpen, onEdit, onAskAgain, onRetry }: Props) {
  const { t } = useTranslation();
  const { scroller, content, isAtEnd, jump } = useStickToBottom();
  const isAnswering = stream !== undefined && stream.state !== "failed";
  const liveQuestion = stream?.live.question;
  useEffect(jump, [liveQuestion, jump]);
  return (
    <div className={classes.outer}>
      {/* The log grows word by word: the status region speaks for it, not the log itself. The tab stop
          lets a keyboard scroll it. */}
      <div
        className={classes.scroller}
        ref={scroller}
        role="log"
        aria-live="off"
        aria-label={t("chat.log")}
        tabIndex={0}
      >
        <div className={classes.content} ref={content}>
          {answers.map((answer) => (
            <section key={answer.id} className={classes.turn} data-testid="turn">
              <Question text={answer.question}>
                {!isAnswering && (
                  <>
                    <QuestionAction label={t("chat.edit")} onClick={() => onEdit(answer.question)}>
                      <IconPencil size={15} />
                    </QuestionAction>
                    <QuestionAction label={t("chat.askAgain")} onClick={() => onAskAgain(answer.question)}>
                      <IconRefresh size={15} />
                    </QuestionAction>
                  </>
                )}
              </Question>
              {answer.rewritten_question && answer.rewritten_question !== answer.question && (
                <p className={classes.rewritten}>
                  {t("chat.rewritten", { question: answer.rewritten_question })}
                </p>
              )}
              <AnswerView
                answer={answer}
                openCitation={openNumber(openCite, answer.id)}
                onOpen={(citation) => onOpen(answer.id, citation)}
                onAskAgain={isAnswering ? undefined : () => onAskAgain(answer.question)}
              />
            </section>
          ))}
          {stream && (
            <section className={classes.turn} data-testid="turn">
              <Question text={stream.live.question} />
              <LiveAnswerView
                stream={stream}
                openCitation={openNumber(openCite, stream.live.answerId)}
                onOpen={(citation) => onOpen(stream.live.answerId ?? "", citation)}
                onRetry={onRetry}
              />
            </section>
          )}
        </div>
      </div>
      {!isAtEnd && (
        <Button
          className={classes.latest ?? ""}
          variant="default"
          radius="xl"
          size="compact-md"
          leftSection={<IconArrowDown size={16} />}
          onClick={jump}
          data-testid="jump-to-latest"
        >
          {t("chat.latest")}
        </Button>
      )}
    </div>
  );
}

function Question({ text, children }: { text: string; children?: React.ReactNode }) {
  const { t } = useTranslation();
  return (
    <div className={classes.question}>
      {children && <div className={classes.tools}>{children}</div>}
      <h2 className={classes.bubble} lang={languageOf(text)} aria-label={`${t("chat.you")}: ${text}`}>
        {text}
      </h2>
    </div>
  );
}

function QuestionAction({
  label,
  onClick,
  children,
}: {
  label: string;
  onClick: () => void;
  children: React.ReactNode;
}) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" aria-label={label} onClick={onClick}>
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
