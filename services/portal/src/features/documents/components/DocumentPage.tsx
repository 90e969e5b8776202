import { Badge, Button, Loader, Text, Tooltip } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { IconArrowLeft, IconDownload, IconLock } from "@tabler/icons-react";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ProblemError } from "@/api/problem";
import { NotFoundPage } from "@/app/ErrorPage";
import type { Document } from "@/api/types";
import { useFormat } from "@/i18n/format";
import { useKnowledgeBase } from "@/features/knowledge-bases/hooks/useKnowledgeBases";
import { LinkAnchor } from "@/ui/links";
import { PageFrame } from "@/ui/PageFrame";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useDocument, usePassage } from "../hooks/useDocuments";
import classes from "./DocumentPage.module.css";
import { DocumentPages } from "./DocumentPages";
import { PassageList } from "./PassageList";

/** One document: its pages where they can be drawn, and its passages. */
export function DocumentPage() {
  const { documentId } = useParams({ from: "/shell/documents/$documentId" });
  const document = useDocument(documentId);
  const { t } = useTranslation();
  if (document.data) return <Content key={documentId} document={document.data} />;
  if (document.error instanceof ProblemError && document.error.status === 404) return <NotFoundPage />;
  return (
    <PageFrame title={t("doc.title")}>
      {document.error ? (
        <ProblemAlert error={document.error} onRetry={() => void document.refetch()} />
      ) : (
        <Loader />
      )}
    </PageFrame>
  );
}

function Content({ document }: { document: Document }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { page = 1, passage } = useSearch({ from: "/shell/documents/$documentId" });
  const isPdf = document.media_type === "application/pdf";
  useDocumentTitle(t("app.title", { page: document.title }));
  const turn = (to: number) => void navigate({ to: ".", search: { page: to }, replace: true });
  const passages = <PassageList documentId={document.id} page={isPdf ? page : null} current={passage} />;
  return (
    <PageFrame
      title={document.title}
      wide={isPdf}
      above={<BackLink document={document} />}
      lead={<Facts document={document} />}
      actions={
        <Button
          component="a"
          variant="default"
          href={`/api/v1/documents/${encodeURIComponent(document.id)}/content`}
          download={document.path.split("/").at(-1)}
          leftSection={<IconDownload size={16} />}
        >
          {t("doc.download")}
        </Button>
      }
    >
      {isPdf ? (
        <div className={classes.columns}>
          <div className={classes.pages}>
            <WithRegions passageId={passage}>
              {(regions) => (
                <DocumentPages
                  document={document}
                  page={page}
                  regions={regions}
                  fallback={passages}
                  onPage={turn}
                />
              )}
            </WithRegions>
          </div>
          <div className={classes.passages}>{passages}</div>
        </div>
      ) : (
        <div className={classes.passages}>{passages}</div>
      )}
    </PageFrame>
  );
}

type Regions = Parameters<typeof DocumentPages>[0]["regions"];
const NO_REGIONS: Regions = [];

function WithRegions({
  passageId,
  children,
}: {
  passageId: string | undefined;
  children: (regions: Regions) => React.ReactNode;
}) {
  return passageId ? <RegionsOf passageId={passageId}>{children}</RegionsOf> : children(NO_REGIONS);
}

function RegionsOf({
  passageId,
  children,
}: {
  passageId: string;
  children: (regions: Regions) => React.ReactNode;
}) {
  const { data } = usePassage(passageId);
  return children(data?.regions ?? NO_REGIONS);
}

function BackLink({ document }: { document: Document }) {
  const { data } = useKnowledgeBase(document.knowledge_base_id);
  const { t } = useTranslation();
  return (
    <LinkAnchor
      to="/knowledge-bases/$knowledgeBaseId"
      params={{ knowledgeBaseId: document.knowledge_base_id }}
      size="sm"
      className={classes.back ?? ""}
    >
      <IconArrowLeft size={15} aria-hidden /> {data?.name ?? t("kb.title")}
    </LinkAnchor>
  );
}

function Facts({ document }: { document: Document }) {
  const { t } = useTranslation();
  const format = useFormat();
  const facts = [
    document.pages === null ? null : t("common.pages", { count: document.pages }),
    t("doc.passagesCount", { count: document.passages }),
    format.bytes(document.size_bytes),
    format.date(document.updated_at),
  ];
  return (
    <Text component="span" size="sm" className={classes.facts}>
      {facts.filter(Boolean).join(" · ")}
      <ReadersBadge readers={document.readers} />
    </Text>
  );
}

/** Marks a document that not everyone of its knowledge base may read. */
export function ReadersBadge({ readers }: { readers: string[] | null }) {
  const { t } = useTranslation();
  const format = useFormat();
  if (readers === null) return null;
  return (
    <Tooltip label={t("doc.restrictedHint", { readers: format.list(readers) })} multiline maw={320}>
      <Badge
        variant="default"
        radius="sm"
        tt="none"
        fw={500}
        leftSection={<IconLock size={12} aria-hidden />}
        tabIndex={0}
      >
        {t("doc.restricted")}
      </Badge>
    </Tooltip>
  );
}
