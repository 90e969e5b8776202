import { Button, Group, Modal, Stack, Text, Textarea } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSession } from "@/features/session/hooks/useSession";
import { draftName, readDraft, writeDraft } from "@/features/session/lib/drafts";
import { ProblemAlert } from "@/ui/ProblemAlert";

const SHORTEST = 10;
const LONGEST = 500;

interface Props {
  opened: boolean;
  title: string;
  text: string;
  submit: string;
  /** Who reads the reason; approvers, unless said otherwise. */
  help?: string;
  /** What the draft of the reason is kept under, should the reader have to sign in again in between. */
  draft: string;
  pending: boolean;
  error: unknown;
  /** `onDone` forgets the draft; call it once the reason has arrived. */
  onSubmit: (reason: string, onDone: () => void) => void;
  onClose: () => void;
}

/** Asks for a reason before something is done. */
export function ReasonModal(props: Props) {
  const { t } = useTranslation();
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      title={props.title}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      <ReasonForm {...props} />
    </Modal>
  );
}

function ReasonForm({ text, submit, help, draft, pending, error, onSubmit, onClose }: Props) {
  const { t } = useTranslation();
  const session = useSession();
  const name = draftName(session.data?.sub, draft);
  const [reason, setReason] = useState(() => readDraft(name));
  const change = (next: string) => {
    setReason(next);
    writeDraft(name, next);
  };
  const send = (event: FormEvent) => {
    event.preventDefault();
    onSubmit(reason.trim(), () => writeDraft(name, ""));
  };
  return (
    <form onSubmit={send}>
      <Stack>
        <Text>{text}</Text>
        <Textarea
          label={t("approvals.reason")}
          description={help ?? t("approvals.reasonHelp")}
          required
          autosize
          minRows={2}
          maxLength={LONGEST}
          value={reason}
          onChange={(event) => change(event.currentTarget.value)}
          data-autofocus
          data-testid="reason"
        />
        {error ? <ProblemAlert error={error} /> : null}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t("common.cancel")}
          </Button>
          <Button
            type="submit"
            color="cinnabar"
            variant="filled"
            disabled={reason.trim().length < SHORTEST}
            loading={pending}
            data-testid="reason-submit"
          >
            {submit}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
