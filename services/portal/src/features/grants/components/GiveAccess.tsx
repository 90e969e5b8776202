import { Button, NativeSelect, Text, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import type { GrantRole } from "@/api/types";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useGiveGrant } from "../hooks/useGrants";
import classes from "./GiveAccess.module.css";

const KINDS = ["user", "group", "everyone"] as const;
const ROLES = ["viewer", "editor", "owner"] as const;
type Kind = (typeof KINDS)[number];

export function GiveAccess({ knowledgeBaseId }: { knowledgeBaseId: string }) {
  const { t } = useTranslation();
  const [kind, setKind] = useState<Kind>("group");
  const [name, setName] = useState("");
  const [role, setRole] = useState<GrantRole>("viewer");
  const give = useGiveGrant(knowledgeBaseId);
  const isComplete = kind === "everyone" || name.trim() !== "";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const subject = kind === "everyone" ? "everyone" : `${kind}:${name.trim()}`;
    give.mutate({ subject, role }, { onSuccess: () => setName("") });
  };
  return (
    <form onSubmit={submit} className={classes.form}>
      <div className={classes.fields}>
        <NativeSelect
          label={t("access.kind")}
          value={kind}
          onChange={(event) => setKind(event.currentTarget.value as Kind)}
          data={KINDS.map((value) => ({ value, label: t(`access.kinds.${value}`) }))}
        />
        <TextInput
          label={t("access.name")}
          placeholder={t("access.namePlaceholder")}
          value={kind === "everyone" ? "" : name}
          disabled={kind === "everyone"}
          maxLength={200}
          onChange={(event) => setName(event.currentTarget.value)}
          data-testid="grant-name"
        />
        <NativeSelect
          label={t("access.role")}
          value={role}
          onChange={(event) => setRole(event.currentTarget.value as GrantRole)}
          data={ROLES.map((value) => ({ value, label: t(`kb.role.${value}`) }))}
        />
        <Button type="submit" disabled={!isComplete} loading={give.isPending} data-testid="grant-submit">
          {t("access.add")}
        </Button>
      </div>
      <Text size="xs" c="dimmed" mt="xs">
        {t("access.roleHint")}
      </Text>
      {give.error && <ProblemAlert error={give.error} />}
    </form>
  );
}
