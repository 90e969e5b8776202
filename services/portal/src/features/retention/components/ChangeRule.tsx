import { Button, Checkbox, Group, Modal, NumberInput, Stack, Text, Textarea } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import type { RetentionKind } from "@/api/types";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useAskToChange, useDue } from "../hooks/useRetention";

const LONGEST_DAYS = 36_500;
const SHORTEST_REASON = 10;
const FIRST_OFFER_DAYS = 365;
const TYPING_MS = 400;

interface Props {
  kind: RetentionKind;
  /** What holds now; null is for ever. */
  days: number | null;
  opened: boolean;
  onClose: () => void;
}

/** Asks for how long, says what would go at once, and asks two others. */
export function ChangeRule({ kind, days, opened, onClose }: Props) {
  const { t } = useTranslation();
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={t("retention.change")}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      <Form kind={kind} days={days} onClose={onClose} />
    </Modal>
  );
}

function Form({ kind, days: before, onClose }: Omit<Props, "opened">) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const ask = useAskToChange(kind);
  const [typed, setTyped] = useState<number | string>(before ?? FIRST_OFFER_DAYS);
  const [isForEver, setForEver] = useState(false);
  const [reason, setReason] = useState("");
  const days = !isForEver && typeof typed === "number" && typed >= 1 ? typed : null;
  const isComplete =
    (isForEver || days !== null) && days !== before && reason.trim().length >= SHORTEST_REASON;
  const send = (event: FormEvent) => {
    event.preventDefault();
    ask.mutate(
      { days, reason: reason.trim() },
      {
        onSuccess: ({ id }) => void navigate({ to: "/approvals/$approvalId", params: { approvalId: id } }),
      },
    );
  };
  return (
    <form onSubmit={send}>
      <Stack>
        <NumberInput
          label={t("retention.keepDays")}
          description={t(`retention.kindHelp.${kind}`)}
          min={1}
          max={LONGEST_DAYS}
          allowDecimal={false}
          disabled={isForEver}
          value={typed}
          onChange={setTyped}
          data-autofocus
          data-testid="retention-days"
        />
        <Checkbox
          label={t("retention.keepForEver")}
          checked={isForEver}
          onChange={(event) => setForEver(event.currentTarget.checked)}
          data-testid="retention-for-ever"
        />
        <Due kind={kind} days={days} />
        <Textarea
          label={t("approvals.reason")}
          description={t("common.reasonHelp")}
          required
          autosize
          minRows={2}
          maxLength={500}
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          data-testid="retention-reason"
        />
        {ask.error ? <ProblemAlert error={ask.error} /> : null}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t("common.cancel")}
          </Button>
          <Button type="submit" disabled={!isComplete} loading={ask.isPending} data-testid="retention-submit">
            {t("retention.ask")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

/** What would go within the hour after the change. */
function Due({ kind, days }: { kind: RetentionKind; days: number | null }) {
  const { t } = useTranslation();
  const [settled] = useDebouncedValue(days, TYPING_MS);
  const due = useDue(kind, settled);
  if (days === null) return <Text size="sm">{t("retention.nothingGoes")}</Text>;
  if (due.error) return <ProblemAlert error={due.error} onRetry={() => void due.refetch()} />;
  return (
    <Text size="sm" role="status" data-testid="retention-due">
      {due.data ? t("retention.due", { count: due.data.due }) : t("common.loading")}
    </Text>
  );
}
