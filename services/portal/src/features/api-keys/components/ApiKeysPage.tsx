import { Badge, Button, Loader, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconKey, IconPlus } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { ApiKey } from "@/api/types";
import { useFormat } from "@/i18n/format";
import { ConfirmModal } from "@/ui/ConfirmModal";
import { EmptyState } from "@/ui/EmptyState";
import { PageFrame } from "@/ui/PageFrame";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useApiKeys, useRevokeApiKey } from "../hooks/useApiKeys";
import classes from "./ApiKeysPage.module.css";
import { CreateApiKey } from "./CreateApiKey";

export function ApiKeysPage() {
  const { t } = useTranslation();
  const keys = useApiKeys();
  const [isCreating, creating] = useDisclosure();
  return (
    <PageFrame
      title={t("keys.title")}
      lead={t("keys.lead")}
      actions={
        <Button leftSection={<IconPlus size={17} />} onClick={creating.open} data-testid="key-new">
          {t("keys.new")}
        </Button>
      }
    >
      {keys.isPending && <Loader />}
      {keys.error && <ProblemAlert error={keys.error} onRetry={() => void keys.refetch()} />}
      {keys.data?.items.length === 0 && (
        <EmptyState icon={<IconKey size={24} />} title={t("keys.empty")} text={t("keys.emptyText")} />
      )}
      <ul className={classes.list}>
        {keys.data?.items.map((key) => (
          <Row key={key.id} apiKey={key} />
        ))}
      </ul>
      <Text size="sm" c="dimmed" mt="md" className={classes.usage ?? ""}>
        {t("keys.usage", { url: `${window.location.origin}/v1` })}
      </Text>
      <CreateApiKey opened={isCreating} onClose={creating.close} />
    </PageFrame>
  );
}

function Row({ apiKey }: { apiKey: ApiKey }) {
  const { t } = useTranslation();
  const format = useFormat();
  const revoke = useRevokeApiKey();
  const [isRevoking, setRevoking] = useState(false);
  const [openedAt] = useState(() => Date.now());
  const { id, name, prefix, scopes, expires_at, last_used_at } = apiKey;
  const isExpired = new Date(expires_at).getTime() < openedAt;
  const used = last_used_at === null ? t("common.never") : format.relative(last_used_at);
  return (
    <li className={classes.row} data-testid="key-row" data-name={name}>
      <IconKey size={20} className={classes.icon} aria-hidden />
      <div className={classes.body}>
        <Text fw={500}>{name}</Text>
        <Text size="xs" c="dimmed">
          <code>{prefix}…</code> · {t("keys.expires")} {format.date(expires_at)} · {t("keys.used")} {used}
        </Text>
      </div>
      <div className={classes.scopes}>
        {isExpired && <Badge color="cinnabar">{t("keys.expired")}</Badge>}
        {scopes.map((scope) => (
          <Badge key={scope} variant="default" tt="none" fw={500} radius="sm">
            {t(`keys.scope.${scope}`)}
          </Badge>
        ))}
      </div>
      <Button
        size="compact-sm"
        variant="default"
        aria-label={t("keys.revokeOf", { name })}
        onClick={() => setRevoking(true)}
      >
        {t("keys.revoke")}
      </Button>
      <ConfirmModal
        opened={isRevoking}
        title={t("keys.revokeTitle")}
        text={t("keys.revokeText", { name })}
        confirm={t("keys.revoke")}
        pending={revoke.isPending}
        error={revoke.error}
        onConfirm={() => revoke.mutate(id, { onSuccess: () => setRevoking(false) })}
        onClose={() => setRevoking(false)}
      />
    </li>
  );
}
