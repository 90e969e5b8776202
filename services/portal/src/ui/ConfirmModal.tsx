import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ProblemAlert } from "./ProblemAlert";

interface Props {
  opened: boolean;
  title: string;
  text: string;
  confirm: string;
  /** What must be typed before the button works; for what cannot be undone and concerns others. */
  typeToConfirm?: string;
  pending: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
}

export function ConfirmModal(props: Props) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState("");
  const isConfirmed = props.typeToConfirm === undefined || typed.trim() === props.typeToConfirm.trim();
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      onExitTransitionEnd={() => setTyped("")}
      title={props.title}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      <Stack>
        <Text>{props.text}</Text>
        {props.typeToConfirm !== undefined && (
          <TextInput
            aria-label={t("kb.name")}
            placeholder={props.typeToConfirm}
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            data-autofocus
          />
        )}
        {props.error ? <ProblemAlert error={props.error} /> : null}
        <Group justify="flex-end">
          <Button variant="default" onClick={props.onClose}>
            {t("common.cancel")}
          </Button>
          <Button
            color="cinnabar"
            variant="filled"
            disabled={!isConfirmed}
            loading={props.pending}
            onClick={props.onConfirm}
            data-testid="confirm-button"
          >
            {props.confirm}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
