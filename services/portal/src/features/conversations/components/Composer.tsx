import { ActionIcon, Text, Textarea, Tooltip } from "@mantine/core";
import { IconArrowUp, IconPlayerStopFilled } from "@tabler/icons-react";
import { type KeyboardEvent, type ReactNode, type Ref, useImperativeHandle, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { readDraft, writeDraft } from "@/features/session/lib/drafts";
import { isSendKey } from "../lib/enter-key";
import classes from "./Composer.module.css";

const MAX_CHARACTERS = 4000;

export interface ComposerHandle {
  /** Put text into the box and the cursor behind it. */
  fill: (text: string) => void;
}

interface Props {
  ref?: Ref<ComposerHandle>;
  /** Under which name the draft is kept. */
  draft: string;
  /** The question on its way: it may still be the draft, but is no longer to be sent. */
  sent: string | undefined;
  isAnswering: boolean;
  isStopping: boolean;
  /** The question before, which ↑ brings back into an empty box. */
  lastQuestion: string | undefined;
  scope: ReactNode;
  /** Rejects when the question was not taken; the text then comes back. */
  onSend: (text: string) => Promise<void>;
  onStop: () => void;
}

export function Composer({
  ref,
  draft,
  sent,
  isAnswering,
  isStopping,
  lastQuestion,
  scope,
  onSend,
  onStop,
}: Props) {
  const { t } = useTranslation();
  const [text, setText] = useState(() => unsent(draft, sent));
  const box = useRef<HTMLTextAreaElement>(null);
  const write = (typed: string) => {
    setText(typed);
    writeDraft(draft, typed);
  };
  const fill = (filled: string) => {
    write(filled);
    box.current?.focus();
  };
  useImperativeHandle(ref, () => ({ fill }));
  const isTooLong = text.length > MAX_CHARACTERS;
  const canSend = text.trim() !== "" && !isTooLong && !isAnswering;

  const send = () => {
    if (!canSend) return;
    // The draft stays until the server has taken the question.
    setText("");
    onSend(text.trim()).catch(() => setText((typed) => typed || text));
  };
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    const { key, shiftKey, keyCode } = event;
    if (isSendKey({ key, shiftKey, keyCode, isComposing: event.nativeEvent.isComposing })) {
      event.preventDefault();
      send();
    } else if (key === "ArrowUp" && text === "" && lastQuestion) {
      event.preventDefault();
      fill(lastQuestion);
    }
  };
  return (
    <form
      className={classes.composer}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <Textarea
        ref={box}
        className={classes.field ?? ""}
        classNames={{ input: classes.input ?? "" }}
        variant="unstyled"
        autosize
        minRows={1}
        maxRows={9}
        // The box is what one comes here for; on a touch screen the keyboard would cover the page.
        // oxlint-disable-next-line jsx-a11y/no-autofocus
        autoFocus={window.matchMedia("(hover: hover)").matches}
        aria-label={t("chat.composer")}
        placeholder={t("chat.placeholder")}
        aria-invalid={isTooLong}
        value={text}
        onChange={(event) => write(event.currentTarget.value)}
        onKeyDown={onKeyDown}
        data-testid="composer"
      />
      <div className={classes.row}>
        {scope}
        <Text
          role={isTooLong ? "alert" : undefined}
          size="xs"
          className={classes.hint}
          data-invalid={isTooLong || undefined}
        >
          {isTooLong
            ? t("chat.tooLong", { max: MAX_CHARACTERS, count: text.length })
            : t(isAnswering ? "chat.hintStop" : "chat.hint")}
        </Text>
        {isAnswering ? (
          <Tooltip label={t("chat.stop")}>
            <ActionIcon
              size={38}
              radius="xl"
              color="cinnabar"
              loading={isStopping}
              aria-label={t("chat.stop")}
              onClick={onStop}
              data-testid="stop"
            >
              <IconPlayerStopFilled size={18} />
            </ActionIcon>
          </Tooltip>
        ) : (
          <Tooltip label={t("chat.send")}>
            <ActionIcon
              type="submit"
              size={38}
              radius="xl"
              disabled={!canSend}
              aria-label={t("chat.send")}
              data-testid="send"
            >
              <IconArrowUp size={20} />
            </ActionIcon>
          </Tooltip>
        )}
      </div>
    </form>
  );
}

function unsent(draft: string, sent: string | undefined): string {
  const text = readDraft(draft);
  return text.trim() === sent ? "" : text;
}
