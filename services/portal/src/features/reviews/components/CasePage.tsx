import { Loader, Text } from "@mantine/core";
import { IconArrowLeft, IconCheck, IconShieldCheck, IconShieldX, IconX } from "@tabler/icons-react";
import { useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ProblemError } from "@/api/problem";
import type { Case } from "@/api/types";
import { NotFoundPage } from "@/app/ErrorPage";
import { useFormat } from "@/i18n/format";
import classes from "@/ui/Cards.module.css";
import { LinkAnchor } from "@/ui/links";
import { PageFrame } from "@/ui/PageFrame";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useCase, useReconstruction } from "../hooks/useReviews";
import { CaseActions } from "./CaseActions";
import { CaseBadges } from "./ReviewsPage";

export function CasePage() {
  const { t } = useTranslation();
  const { caseId } = useParams({ from: "/shell/reviews/$caseId" });
  const found = useCase(caseId);
  if (found.data) return <Content key={caseId} found={found.data} />;
  if (found.error instanceof ProblemError && found.error.status === 404) return <NotFoundPage />;
  return (
    <PageFrame title={t("reviews.title")}>
      {found.error ? <ProblemAlert error={found.error} onRetry={() => void found.refetch()} /> : <Loader />}
    </PageFrame>
  );
}

function Content({ found }: { found: Case }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <PageFrame
      title={t(`reviews.kind.${found.kind}`)}
      lead={found.categories.join(", ")}
      above={
        <LinkAnchor to="/reviews" size="sm" className={classes.back ?? ""}>
          <IconArrowLeft size={15} aria-hidden /> {t("reviews.title")}
        </LinkAnchor>
      }
      actions={<CaseActions found={found} />}
    >
      <div className={classes.facts}>
        <CaseBadges found={found} />
        <Text size="sm" c="dimmed">
          {t("reviews.opened", { when: format.dateTime(found.opened_at) })} ·{" "}
          {t("reviews.due", { when: format.relative(found.due_at) })}
          {found.claimed_until &&
            ` · ${t("reviews.claimed", { name: found.claimed_by, until: format.dateTime(found.claimed_until) })}`}
        </Text>
      </div>
      <Subject found={found} />
      <Opinions found={found} />
    </PageFrame>
  );
}

/** What the case is about: an answer, masked, or an id. */
function Subject({ found }: { found: Case }) {
  const { t } = useTranslation();
  const format = useFormat();
  const isAnswer = found.subject_kind === "answer";
  const { data, error } = useReconstruction(found.subject_id, isAnswer);
  const receipt = data?.receipt;
  const facts: [string, string][] = [[t("reviews.subject"), found.subject_id]];
  if (receipt)
    facts.push(
      [t("receipt.asked"), format.dateTime(receipt.asked_at)],
      [t("receipt.question"), receipt.question],
      [t("receipt.searched"), receipt.searched.join(", ") || t("receipt.nothing")],
      [
        t("receipt.passages"),
        t("receipt.passagesCount", {
          count: receipt.passages.length,
          cited: receipt.passages.filter((passage) => passage.is_cited).length,
        }),
      ],
      [t("reviews.policies"), receipt.policy_decisions.join(", ") || t("receipt.nothing")],
    );
  const text = data?.answer?.sentences.map((sentence) => sentence.text).join(" ");
  return (
    <section className={classes.card} aria-labelledby="case-what">
      <h2 id="case-what" className={classes.heading}>
        {t("reviews.what")}
      </h2>
      {error && <ProblemAlert error={error} />}
      <dl className={classes.terms}>
        {facts.map(([name, value]) => (
          <div key={name} className={classes.term}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {text && <Text className={classes.reason ?? ""}>{text}</Text>}
      {data && <Integrity state={data.integrity} />}
      {isAnswer && (
        <Text size="sm" c="dimmed">
          {t("reviews.masked")}
        </Text>
      )}
    </section>
  );
}

function Integrity({ state }: { state: "intact" | "touched" | "unproven" }) {
  const { t } = useTranslation();
  const Icon = state === "touched" ? IconShieldX : IconShieldCheck;
  return (
    <Text size="sm" className={classes.facts ?? ""} data-testid="case-integrity" data-state={state}>
      <Icon size={18} aria-hidden /> {t(`reviews.integrity.${state}`)}
    </Text>
  );
}

function Opinions({ found }: { found: Case }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <section className={classes.card} aria-labelledby="case-opinions">
      <h2 id="case-opinions" className={classes.heading}>
        {t("reviews.opinions")}
      </h2>
      <ul className={classes.votes}>
        {found.decisions.map((decision) => (
          <li
            key={decision.at}
            className={classes.vote}
            data-refused={decision.verdict === "dismissed" || undefined}
            data-testid="case-opinion"
          >
            {decision.verdict === "confirmed" ? (
              <IconCheck size={18} aria-hidden />
            ) : (
              <IconX size={18} aria-hidden />
            )}
            <div>
              <strong>{t(`reviews.verdict.${decision.verdict}`)}</strong>
              <Text span size="sm" c="dimmed">
                {" "}
                · {decision.by ?? t("reviews.somebody")} · {format.dateTime(decision.at)}
              </Text>
              <Text className={classes.reason ?? ""}>{decision.reason}</Text>
            </div>
          </li>
        ))}
      </ul>
      {found.state !== "decided" && (
        <Text c="dimmed" data-testid="case-missing">
          {t(`reviews.missing.${found.state}`)}
        </Text>
      )}
      {found.notes.map((note) => (
        <Text key={note.at} size="sm" className={classes.reason ?? ""}>
          {note.by ?? t("reviews.person")} · {format.dateTime(note.at)}: {note.text}
        </Text>
      ))}
    </section>
  );
}
