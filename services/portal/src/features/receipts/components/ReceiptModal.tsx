import { Group, Modal, Skeleton, Stack, Text } from "@mantine/core";
import { IconShieldCheck, IconShieldX } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import type { Receipt } from "@/api/types";
import { useFormat } from "@/i18n/format";
import { CopyButton } from "@/ui/CopyButton";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useReceipt } from "../hooks/useReceipt";
import classes from "./ReceiptModal.module.css";

/** What an answer stands on, and the digest by which the audit log proves it. */
export default function ReceiptModal({ answerId, onClose }: { answerId: string; onClose: () => void }) {
  const { t } = useTranslation();
  const receipt = useReceipt(answerId);
  return (
    <Modal
      opened
      onClose={onClose}
      title={t("receipt.title")}
      size="lg"
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      {receipt.error && <ProblemAlert error={receipt.error} onRetry={() => void receipt.refetch()} />}
      {receipt.isPending && <Skeleton h={220} radius="md" />}
      {receipt.data && (
        <Stack data-testid="receipt">
          <Text size="sm">{t("receipt.about")}</Text>
          <Facts receipt={receipt.data.receipt} />
          <Integrity isIntact={receipt.data.isIntact} />
          <Group gap="xs" wrap="nowrap">
            <span className={classes.digest} data-testid="receipt-digest">
              {receipt.data.sha256}
            </span>
            <CopyButton label={t("receipt.copy")} text={() => receipt.data.canonical} />
          </Group>
        </Stack>
      )}
    </Modal>
  );
}

function Facts({ receipt }: { receipt: Receipt }) {
  const { t } = useTranslation();
  const format = useFormat();
  const cited = receipt.passages.filter((passage) => passage.is_cited).length;
  const facts: [string, string | null][] = [
    [t("receipt.asked"), format.dateTime(receipt.asked_at)],
    [t("receipt.question"), receipt.question],
    [t("receipt.rewritten"), receipt.rewritten_question],
    [t("receipt.searched"), receipt.searched.join(", ") || t("receipt.nothing")],
    [t("receipt.groups"), receipt.rights.groups.join(", ") || t("receipt.nothing")],
    [t("receipt.passages"), t("receipt.passagesCount", { count: receipt.passages.length, cited })],
    [
      t("receipt.model"),
      receipt.model ? `${receipt.model.id} · ${receipt.model.prompt_version}` : t("receipt.noModel"),
    ],
  ];
  return (
    <dl className={classes.facts}>
      {facts.map(
        ([name, value]) =>
          value && (
            <div key={name} style={{ display: "contents" }}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

function Integrity({ isIntact }: { isIntact: boolean | null }) {
  const { t } = useTranslation();
  if (isIntact === null) return null;
  const Icon = isIntact ? IconShieldCheck : IconShieldX;
  return (
    <Group gap={6} data-testid="receipt-integrity" data-intact={isIntact}>
      <Icon size={18} aria-hidden />
      <Text size="sm">{t(isIntact ? "receipt.intact" : "receipt.broken")}</Text>
    </Group>
  );
}
