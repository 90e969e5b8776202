import { Button, Group } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Case } from "@/api/types";
import { useSession } from "@/features/session/hooks/useSession";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { ReasonModal } from "@/ui/ReasonModal";
import { useClaim, useDecide, useEscalate, useRelease } from "../hooks/useReviews";

type Step = "confirmed" | "dismissed" | "escalate";

/** What the reader can do with a case: take it, and then decide, put it back or pass it on. */
export function CaseActions({ found }: { found: Case }) {
  const { t } = useTranslation();
  const session = useSession();
  const [step, setStep] = useState<Step | null>(null);
  const claim = useClaim(found.id);
  const release = useRelease(found.id);
  const escalate = useEscalate(found.id);
  const decide = useDecide(found.id);
  if (found.state === "decided") return null;
  if (found.claimed_by !== session.data?.sub)
    return (
      <div>
        <Button onClick={() => claim.mutate(undefined)} loading={claim.isPending} data-testid="case-claim">
          {t("reviews.claim")}
        </Button>
        {claim.error && <ProblemAlert error={claim.error} />}
      </div>
    );
  const pending = step === "escalate" ? escalate : decide;
  const send = (reason: string) => {
    const done = { onSuccess: () => setStep(null) };
    if (step === "escalate") escalate.mutate(reason, done);
    else if (step !== null) decide.mutate({ verdict: step, reason }, done);
  };
  return (
    <Group gap="xs">
      <Button onClick={() => setStep("confirmed")} data-testid="case-confirm">
        {t("reviews.confirm")}
      </Button>
      <Button variant="default" onClick={() => setStep("dismissed")} data-testid="case-dismiss">
        {t("reviews.dismiss")}
      </Button>
      {found.state !== "escalated" && (
        <Button variant="subtle" color="gray" onClick={() => setStep("escalate")}>
          {t("reviews.escalate")}
        </Button>
      )}
      <Button
        variant="subtle"
        color="gray"
        onClick={() => release.mutate(undefined)}
        loading={release.isPending}
      >
        {t("reviews.release")}
      </Button>
      {release.error && <ProblemAlert error={release.error} />}
      {step !== null && (
        <ReasonModal
          opened
          title={t(`reviews.ask.${step}`)}
          text={t(`reviews.askText.${step}`)}
          submit={t("reviews.send")}
          help={t("common.reasonHelp")}
          draft={`review.${found.id}.${step}`}
          pending={pending.isPending}
          error={pending.error}
          onSubmit={send}
          onClose={() => setStep(null)}
        />
      )}
    </Group>
  );
}
