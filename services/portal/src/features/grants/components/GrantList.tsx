import { ActionIcon, Badge, Loader, Text } from "@mantine/core";
import { IconTrash, IconUser, IconUsers, IconWorld } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Grant } from "@/api/types";
import { useFormat } from "@/i18n/format";
import { ConfirmModal } from "@/ui/ConfirmModal";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useGrants, useRemoveGrant } from "../hooks/useGrants";
import { GiveAccess } from "./GiveAccess";
import classes from "./GrantList.module.css";

/** Who may read a knowledge base, and with which role. */
export function GrantList({ knowledgeBaseId }: { knowledgeBaseId: string }) {
  const { t } = useTranslation();
  const grants = useGrants(knowledgeBaseId);
  return (
    <section aria-label={t("kb.tabs.access")}>
      <Text mb="md">{t("access.lead")}</Text>
      <GiveAccess knowledgeBaseId={knowledgeBaseId} />
      {grants.isPending && <Loader />}
      {grants.error && <ProblemAlert error={grants.error} onRetry={() => void grants.refetch()} />}
      {grants.data?.items.length === 0 && <Text c="dimmed">{t("access.empty")}</Text>}
      <ul className={classes.list}>
        {grants.data?.items.map((grant) => (
          <Row key={grant.id} grant={grant} />
        ))}
      </ul>
    </section>
  );
}

function Row({ grant }: { grant: Grant }) {
  const { t } = useTranslation();
  const format = useFormat();
  const subject = useSubject();
  const remove = useRemoveGrant(grant.knowledge_base_id);
  const [isRemoving, setRemoving] = useState(false);
  const name = subject(grant.subject);
  const Icon = grant.subject.startsWith("user:")
    ? IconUser
    : grant.subject.startsWith("group:")
      ? IconUsers
      : IconWorld;
  return (
    <li className={classes.row} data-testid="grant-row" data-subject={grant.subject}>
      <Icon size={20} className={classes.icon} aria-hidden />
      <div className={classes.body}>
        <Text fw={500}>{name}</Text>
        <Text size="xs" c="dimmed">
          {t("access.since")} {format.date(grant.created_at)} · {t("access.by")} {subject(grant.granted_by)}
        </Text>
      </div>
      <Badge variant="default" tt="none" fw={500} radius="sm">
        {t(`kb.role.${grant.role}`)}
      </Badge>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={t("access.remove", { subject: name })}
        onClick={() => setRemoving(true)}
      >
        <IconTrash size={17} />
      </ActionIcon>
      <ConfirmModal
        opened={isRemoving}
        title={t("access.removeTitle")}
        text={t("access.removeText", { subject: name })}
        confirm={t("common.remove")}
        pending={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate(grant.id, { onSuccess: () => setRemoving(false) })}
        onClose={() => setRemoving(false)}
      />
    </li>
  );
}

/** An ACL token in words. */
function useSubject(): (token: string) => string {
  const { t } = useTranslation();
  return (token) => {
    if (token.startsWith("user:")) return t("access.user", { name: token.slice(5) });
    if (token.startsWith("group:")) return t("access.group", { name: token.slice(6) });
    return token === "everyone" ? t("access.everyone") : token;
  };
}
