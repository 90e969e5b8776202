import { Alert, Button, Checkbox, Group, Modal, NumberInput, Stack, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import type { ApiKeyScope } from "@/api/types";
import { CopyButton } from "@/ui/CopyButton";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useMay } from "@/features/session/hooks/useSession";
import { useCreateApiKey } from "../hooks/useApiKeys";
import classes from "./ApiKeysPage.module.css";

const SCOPES: ApiKeyScope[] = ["ask", "search", "ingest"];
const DEFAULT_DAYS = 90;

/** Makes a key and shows it once; while it is shown only the button below it closes the dialogue. */
export function CreateApiKey({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const create = useCreateApiKey();
  const secret = create.data?.secret;
  const close = () => {
    onClose();
    create.reset();
  };
  return (
    <Modal
      opened={opened}
      onClose={close}
      title={secret ? t("keys.secretTitle") : t("keys.new")}
      closeOnClickOutside={!secret}
      closeOnEscape={!secret}
      withCloseButton={!secret}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      {secret ? (
        <Secret secret={secret} onDone={close} />
      ) : (
        <Form
          isPending={create.isPending}
          error={create.error}
          onSubmit={(name, scopes, expires_in_days) => create.mutate({ name, scopes, expires_in_days })}
          onCancel={close}
        />
      )}
    </Modal>
  );
}

function Secret({ secret, onDone }: { secret: string; onDone: () => void }) {
  const { t } = useTranslation();
  return (
    <Stack>
      <Alert color="yellow" role="status">
        {t("keys.secretText")}
      </Alert>
      <code className={classes.secret} aria-label={t("keys.secretLabel")} data-testid="key-secret">
        {secret}
      </code>
      <Group justify="space-between">
        <CopyButton text={() => secret} label={t("common.copy")} withText />
        <Button onClick={onDone}>{t("keys.secretDone")}</Button>
      </Group>
    </Stack>
  );
}

interface FormProps {
  isPending: boolean;
  error: unknown;
  onSubmit: (name: string, scopes: ApiKeyScope[], days: number) => void;
  onCancel: () => void;
}

function Form({ isPending, error, onSubmit, onCancel }: FormProps) {
  const { t } = useTranslation();
  const offered: ApiKeyScope[] = useMay("audit:read") ? [...SCOPES, "audit"] : SCOPES;
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<ApiKeyScope[]>(["ask"]);
  const [days, setDays] = useState<number | string>(DEFAULT_DAYS);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit(name.trim(), scopes, Number(days) || DEFAULT_DAYS);
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <TextInput
          label={t("keys.name")}
          placeholder={t("keys.namePlaceholder")}
          required
          maxLength={100}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          data-autofocus
          data-testid="key-name"
        />
        <Checkbox.Group
          label={t("keys.scopes")}
          value={scopes}
          onChange={(chosen) => setScopes(chosen as ApiKeyScope[])}
        >
          <Stack gap="xs" mt="xs">
            {offered.map((scope) => (
              <Checkbox key={scope} value={scope} label={t(`keys.scope.${scope}`)} />
            ))}
          </Stack>
        </Checkbox.Group>
        <NumberInput
          label={t("keys.days")}
          min={1}
          max={365}
          value={days}
          onChange={setDays}
          allowDecimal={false}
        />
        {error ? <ProblemAlert error={error} /> : null}
        <Group justify="flex-end">
          <Button variant="default" onClick={onCancel}>
            {t("common.cancel")}
          </Button>
          <Button
            type="submit"
            disabled={!name.trim() || scopes.length === 0}
            loading={isPending}
            data-testid="key-submit"
          >
            {t("keys.create")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
