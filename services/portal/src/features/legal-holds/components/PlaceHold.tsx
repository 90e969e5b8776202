import { Button, Group, Modal, NativeSelect, Stack, Textarea, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import type { HoldScope } from "@/api/types";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { usePlaceHold } from "../hooks/useHolds";

const SCOPES: HoldScope[] = ["user", "document", "knowledge_base"];
const SHORTEST_MATTER = 3;
const SHORTEST_REASON = 10;

/** Asks what to keep, for what matter and why. */
export function PlaceHold({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={t("holds.new")}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      <Form onDone={onClose} />
    </Modal>
  );
}

function Form({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const place = usePlaceHold();
  const [scope, setScope] = useState<HoldScope>("user");
  const [id, setId] = useState("");
  const [matter, setMatter] = useState("");
  const [reason, setReason] = useState("");
  const isComplete =
    id.trim() !== "" && matter.trim().length >= SHORTEST_MATTER && reason.trim().length >= SHORTEST_REASON;
  const send = (event: FormEvent) => {
    event.preventDefault();
    const held = { scope, id: id.trim() };
    place.mutate({ held, matter: matter.trim(), reason: reason.trim() }, { onSuccess: onDone });
  };
  return (
    <form onSubmit={send}>
      <Stack>
        <NativeSelect
          label={t("holds.keep")}
          description={t(`holds.scopeHelp.${scope}`)}
          data={SCOPES.map((value) => ({ value, label: t(`holds.scope.${value}`) }))}
          value={scope}
          onChange={(event) => setScope(event.currentTarget.value as HoldScope)}
          data-autofocus
          data-testid="hold-scope"
        />
        <TextInput
          label={t("holds.id")}
          description={t(scope === "user" ? "holds.userIdHelp" : "holds.idHelp")}
          required
          maxLength={200}
          value={id}
          onChange={(event) => setId(event.currentTarget.value)}
          data-testid="hold-id"
        />
        <TextInput
          label={t("holds.matter")}
          description={t("holds.matterHelp")}
          required
          maxLength={200}
          value={matter}
          onChange={(event) => setMatter(event.currentTarget.value)}
          data-testid="hold-matter"
        />
        <Textarea
          label={t("approvals.reason")}
          description={t("holds.reasonHelp")}
          required
          autosize
          minRows={2}
          maxLength={500}
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          data-testid="hold-reason"
        />
        {place.error ? <ProblemAlert error={place.error} /> : null}
        <Group justify="flex-end">
          <Button variant="default" onClick={onDone}>
            {t("common.cancel")}
          </Button>
          <Button type="submit" disabled={!isComplete} loading={place.isPending} data-testid="hold-submit">
            {t("holds.place")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
