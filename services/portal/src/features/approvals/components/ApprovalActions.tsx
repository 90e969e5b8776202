import { Button, Text } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Approval } from "@/api/types";
import { ConfirmModal } from "@/ui/ConfirmModal";
import {
  useApprove,
  useDeleteApproved,
  useChangeRetentionApproved,
  useLiftApproved,
  useRefuse,
  useWithdraw,
} from "../hooks/useApprovals";
import { actionName } from "../lib/action-name";
import classes from "@/ui/Cards.module.css";
import { ReasonModal } from "@/ui/ReasonModal";

type Step = Approval["may"][number];

interface StepProps {
  approval: Approval;
  opened: boolean;
  onClose: () => void;
}

/** What is done here once it was approved, and what its button says. */
const USES = {
  "knowledge_base.delete": { Dialog: UseDeletion, label: "approvals.use" },
  "legal_hold.release": { Dialog: UseLifting, label: "approvals.useHold" },
  "retention.change": { Dialog: UseRetention, label: "approvals.useRetention" },
} as const;
const DIALOGS = { approve: Approve, refuse: Refuse, withdraw: Withdraw };

const useOf = ({ action }: Approval) => (action in USES ? USES[action as keyof typeof USES] : undefined);

/** What the reader may do with an approval now; the server says what that is. */
export function ApprovalActions({ approval }: { approval: Approval }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState<Step | null>(null);
  const use = useOf(approval);
  const steps = approval.may.filter((step) => step !== "use" || use);
  return (
    <>
      {approval.may.includes("use") && !use && (
        <Text size="sm" c="dimmed" className={classes.hint ?? ""}>
          {t("approvals.useElsewhere", { id: approval.id })}
        </Text>
      )}
      {steps.map((step) => (
        <Button
          key={step}
          variant={step === "approve" || step === "use" ? "filled" : "default"}
          color={step === "use" ? "cinnabar" : "pine"}
          onClick={() => setOpen(step)}
          data-testid={`approval-${step}`}
        >
          {t(step === "use" && use ? use.label : `approvals.${step}`)}
        </Button>
      ))}
      {steps.map((step) => {
        const Dialog = step === "use" ? use?.Dialog : DIALOGS[step];
        return (
          Dialog && (
            <Dialog key={step} approval={approval} opened={open === step} onClose={() => setOpen(null)} />
          )
        );
      })}
    </>
  );
}

function Approve({ approval, opened, onClose }: StepProps) {
  const { t } = useTranslation();
  const approve = useApprove(approval.id);
  const { action, resource, requester, requester_name } = approval;
  return (
    <ConfirmModal
      opened={opened}
      title={t("approvals.approveTitle")}
      text={t("approvals.approveText", {
        title: `${actionName(t, action)}: ${resource.title}`,
        name: requester_name || requester,
      })}
      confirm={t("approvals.approve")}
      pending={approve.isPending}
      error={approve.error}
      onConfirm={() => approve.mutate(approval.digest, { onSuccess: onClose })}
      onClose={onClose}
    />
  );
}

function Refuse({ approval, opened, onClose }: StepProps) {
  const { t } = useTranslation();
  const refuse = useRefuse(approval.id);
  return (
    <ReasonModal
      opened={opened}
      title={t("approvals.refuseTitle")}
      text={t("approvals.refuseText")}
      submit={t("approvals.refuse")}
      draft={`refuse.${approval.id}`}
      pending={refuse.isPending}
      error={refuse.error}
      onSubmit={(reason, onDone) =>
        refuse.mutate(reason, {
          onSuccess: () => {
            onDone();
            onClose();
          },
        })
      }
      onClose={onClose}
    />
  );
}

function Withdraw({ approval, opened, onClose }: StepProps) {
  const { t } = useTranslation();
  const withdraw = useWithdraw(approval.id);
  return (
    <ConfirmModal
      opened={opened}
      title={t("approvals.withdrawTitle")}
      text={t("approvals.withdrawText")}
      confirm={t("approvals.withdraw")}
      pending={withdraw.isPending}
      error={withdraw.error}
      onConfirm={() => withdraw.mutate(undefined, { onSuccess: onClose })}
      onClose={onClose}
    />
  );
}

function UseLifting({ approval, opened, onClose }: StepProps) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const lift = useLiftApproved(approval);
  return (
    <ConfirmModal
      opened={opened}
      title={t("approvals.useHoldTitle", { name: approval.resource.title })}
      text={t("approvals.useHoldText")}
      confirm={t("approvals.useHold")}
      pending={lift.isPending}
      error={lift.error}
      onConfirm={() => lift.mutate(undefined, { onSuccess: () => void navigate({ to: "/legal-holds" }) })}
      onClose={onClose}
    />
  );
}

function UseDeletion({ approval, opened, onClose }: StepProps) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const remove = useDeleteApproved(approval);
  return (
    <ConfirmModal
      opened={opened}
      title={t("approvals.useTitle", { name: approval.resource.title })}
      text={t("approvals.useText")}
      confirm={t("approvals.use")}
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() =>
        remove.mutate(undefined, { onSuccess: () => void navigate({ to: "/knowledge-bases" }) })
      }
      onClose={onClose}
    />
  );
}

function UseRetention({ approval, opened, onClose }: StepProps) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const change = useChangeRetentionApproved(approval);
  return (
    <ConfirmModal
      opened={opened}
      title={t("approvals.useRetentionTitle", { name: approval.resource.title })}
      text={t("approvals.useRetentionText")}
      confirm={t("approvals.useRetention")}
      pending={change.isPending}
      error={change.error}
      onConfirm={() => change.mutate(undefined, { onSuccess: () => void navigate({ to: "/retention" }) })}
      onClose={onClose}
    />
  );
}
