import { Button, Checkbox, Chip, Group, Input, Modal, Stack, Textarea } from "@mantine/core";
import { type FormEvent, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Fault, Feedback, NewFeedback } from "@/api/types";
import { ProblemAlert } from "@/ui/ProblemAlert";

const FAULTS: Fault[] = [
  "wrong",
  "incomplete",
  "outdated",
  "wrong_source",
  "not_found",
  "hard_to_read",
  "other",
];
const LONGEST_COMMENT = 2000;
const LONGEST_CORRECTION = 8000;

interface Props {
  given: Feedback | null;
  isPending: boolean;
  error: unknown;
  onSubmit: (feedback: NewFeedback) => void;
  onWithdraw: () => void;
  onClose: () => void;
}

/** Asks what was wrong with an answer, and what it should have been. */
export function FeedbackModal({ given, isPending, error, onSubmit, onWithdraw, onClose }: Props) {
  const { t } = useTranslation();
  const label = useId();
  const [faults, setFaults] = useState<string[]>(given?.faults ?? []);
  const [correction, setCorrection] = useState(given?.correction ?? "");
  const [comment, setComment] = useState(given?.comment ?? "");
  const [mayTrain, setMayTrain] = useState(given?.may_train ?? false);
  const send = (event: FormEvent) => {
    event.preventDefault();
    const named = FAULTS.filter((fault) => faults.includes(fault));
    onSubmit({ rating: "down", faults: named, correction, comment, may_train: mayTrain });
  };
  return (
    <Modal
      opened
      onClose={onClose}
      title={t("feedback.title")}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      <form onSubmit={send} data-testid="feedback-form">
        <Stack>
          <Input.Wrapper label={t("feedback.faults")} labelProps={{ id: label, component: "div" }}>
            <Group gap="xs" mt={6} role="group" aria-labelledby={label}>
              <Chip.Group multiple value={faults} onChange={setFaults}>
                {FAULTS.map((fault) => (
                  <Chip key={fault} value={fault} size="sm" radius="sm" variant="outline">
                    {t(`feedback.fault.${fault}`)}
                  </Chip>
                ))}
              </Chip.Group>
            </Group>
          </Input.Wrapper>
          <Textarea
            label={t("feedback.correction")}
            description={t("feedback.correctionHelp")}
            autosize
            minRows={2}
            maxRows={10}
            maxLength={LONGEST_CORRECTION}
            value={correction}
            onChange={(event) => setCorrection(event.currentTarget.value)}
            data-testid="feedback-correction"
          />
          <Textarea
            label={t("feedback.comment")}
            autosize
            minRows={1}
            maxRows={6}
            maxLength={LONGEST_COMMENT}
            value={comment}
            onChange={(event) => setComment(event.currentTarget.value)}
          />
          <Checkbox
            label={t("feedback.mayTrain")}
            description={t("feedback.mayTrainHelp")}
            checked={mayTrain}
            onChange={(event) => setMayTrain(event.currentTarget.checked)}
          />
          {error ? <ProblemAlert error={error} /> : null}
          <Group justify="flex-end">
            {given && (
              <Button variant="default" mr="auto" loading={isPending} onClick={onWithdraw}>
                {t("feedback.withdraw")}
              </Button>
            )}
            <Button variant="default" onClick={onClose}>
              {t("common.cancel")}
            </Button>
            <Button
              type="submit"
              color="cinnabar"
              variant="filled"
              loading={isPending}
              data-testid="feedback-send"
            >
              {t("feedback.send")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
