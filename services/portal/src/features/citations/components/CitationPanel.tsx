import { ActionIcon, Loader, Text, Title } from "@mantine/core";
import { IconChevronLeft, IconChevronRight, IconExternalLink, IconX } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { ProblemError } from "@/api/problem";
import type { Citation } from "@/api/types";
import { languageOf } from "@/features/answers/lib/answer-text";
import { DocumentPages } from "@/features/documents/components/DocumentPages";
import { PassageContext } from "@/features/documents/components/PassageContext";
import { usePlace } from "@/features/documents/hooks/usePlace";
import { useDocument } from "@/features/documents/hooks/useDocuments";
import { LinkAnchor } from "@/ui/links";
import { ProblemAlert } from "@/ui/ProblemAlert";
import classes from "./CitationPanel.module.css";

interface Props {
  citation: Citation;
  citations: Citation[];
  onSelect: (citation: Citation) => void;
  onClose: () => void;
}

/** A cited passage where it stands: marked in its page, or between its neighbours. */
export default function CitationPanel({ citation, citations, onSelect, onClose }: Props) {
  const { t } = useTranslation();
  const place = usePlace();
  const at = citations.findIndex(({ n }) => n === citation.n);
  const step = (offset: number) => {
    const next = citations[at + offset];
    if (next) onSelect(next);
  };
  return (
    <div className={classes.panel} data-testid="citation-panel" data-n={citation.n}>
      <header className={classes.header}>
        <span className={classes.number}>{citation.n}</span>
        <div className={classes.heading}>
          <Title order={2} className={classes.title}>
            {citation.document}
          </Title>
          <Text size="xs" c="dimmed">
            {place(citation, citation.document)}
          </Text>
        </div>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={t("common.close")}
          onClick={onClose}
          data-testid="citation-close"
        >
          <IconX size={18} />
        </ActionIcon>
      </header>
      <div className={classes.toolbar}>
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={t("citation.previous")}
          disabled={at <= 0}
          onClick={() => step(-1)}
        >
          <IconChevronLeft size={18} />
        </ActionIcon>
        <Text size="sm">{t("citation.position", { n: at + 1, count: citations.length })}</Text>
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={t("citation.next")}
          disabled={at >= citations.length - 1}
          onClick={() => step(1)}
        >
          <IconChevronRight size={18} />
        </ActionIcon>
        <LinkAnchor
          to="/documents/$documentId"
          params={{ documentId: citation.document_id }}
          search={{ page: citation.page ?? undefined, passage: citation.passage_id }}
          className={classes.open ?? ""}
          size="sm"
        >
          {t("citation.openDocument")} <IconExternalLink size={14} aria-hidden />
        </LinkAnchor>
      </div>
      <Quote citation={citation} />
      <div className={classes.content}>
        <Place key={citation.passage_id} citation={citation} />
      </div>
    </div>
  );
}

function Quote({ citation }: { citation: Citation }) {
  const { t } = useTranslation();
  return (
    <figure className={classes.quote}>
      <figcaption>{t("citation.quote")}</figcaption>
      <blockquote lang={languageOf(citation.quote)} data-testid="citation-quote">
        <mark>{citation.quote}</mark>
      </blockquote>
    </figure>
  );
}

function Place({ citation }: { citation: Citation }) {
  const { t } = useTranslation();
  const document = useDocument(citation.document_id);
  if (document.error instanceof ProblemError && document.error.status === 404)
    return <Text p="md">{t("citation.gone")}</Text>;
  if (document.error) return <ProblemAlert error={document.error} onRetry={() => void document.refetch()} />;
  if (!document.data) return <Loader m="md" />;
  const text = <PassageContext passageId={citation.passage_id} quote={citation.quote} />;
  if (document.data.media_type !== "application/pdf" || citation.page === null) return text;
  return (
    <DocumentPages document={document.data} page={citation.page} regions={citation.regions} fallback={text} />
  );
}
