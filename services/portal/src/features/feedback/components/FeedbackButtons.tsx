import { ActionIcon, Group, Tooltip } from "@mantine/core";
import { IconThumbDown, IconThumbDownFilled, IconThumbUp, IconThumbUpFilled } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Answer, Feedback, NewFeedback } from "@/api/types";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useFeedback } from "../hooks/useFeedback";
import { FeedbackModal } from "./FeedbackModal";

const PRAISE: NewFeedback = { rating: "up", faults: [], comment: "", correction: "", may_train: false };

/** Thumbs for an answer. Down asks what was wrong; a pressed thumb, pressed again, takes the rating back. */
export default function FeedbackButtons({ answer }: { answer: Answer }) {
  const { t } = useTranslation();
  const { given, give, withdraw } = useFeedback(answer);
  const [isOpen, setOpen] = useState(false);
  const rating = given?.rating;
  const close = () => setOpen(false);
  return (
    <>
      <Group gap={2} role="group" aria-label={t("feedback.label")}>
        <Thumb
          is="up"
          given={given}
          isPending={give.isPending || withdraw.isPending}
          onPress={() => (rating === "up" ? withdraw.mutate() : give.mutate(PRAISE))}
        />
        <Thumb
          is="down"
          given={given}
          isPending={give.isPending || withdraw.isPending}
          onPress={() => {
            give.reset();
            setOpen(true);
          }}
        />
      </Group>
      {!isOpen && (give.error ?? withdraw.error) ? (
        <ProblemAlert error={give.error ?? withdraw.error} />
      ) : null}
      {isOpen && (
        <FeedbackModal
          given={rating === "down" ? given : null}
          isPending={give.isPending || withdraw.isPending}
          error={give.error ?? withdraw.error}
          onSubmit={(feedback) => give.mutate(feedback, { onSuccess: close })}
          onWithdraw={() => withdraw.mutate(undefined, { onSuccess: close })}
          onClose={close}
        />
      )}
    </>
  );
}

const ICONS = { up: [IconThumbUp, IconThumbUpFilled], down: [IconThumbDown, IconThumbDownFilled] } as const;

interface ThumbProps {
  is: "up" | "down";
  given: Feedback | null;
  isPending: boolean;
  onPress: () => void;
}

function Thumb({ is, given, isPending, onPress }: ThumbProps) {
  const { t } = useTranslation();
  const isPressed = given?.rating === is;
  const Icon = ICONS[is][isPressed ? 1 : 0];
  return (
    <Tooltip label={t(`feedback.${is}`)}>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={t(`feedback.${is}`)}
        aria-pressed={isPressed}
        disabled={isPending}
        onClick={onPress}
        data-testid={`feedback-${is}`}
      >
        <Icon size={17} aria-hidden />
      </ActionIcon>
    </Tooltip>
  );
}
