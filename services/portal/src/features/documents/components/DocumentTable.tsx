import { ActionIcon, Button, Skeleton } from "@mantine/core";
import { IconFileText, IconTrash } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Document } from "@/api/types";
import { useFormat } from "@/i18n/format";
import { ConfirmModal } from "@/ui/ConfirmModal";
import { EmptyState } from "@/ui/EmptyState";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useDeleteDocument, useDocuments } from "../hooks/useDocuments";
import { ReadersBadge } from "./DocumentPage";
import classes from "./DocumentTable.module.css";

/** The documents of a knowledge base that the reader may read. */
export function DocumentTable({ knowledgeBaseId, mayEdit }: { knowledgeBaseId: string; mayEdit: boolean }) {
  const { t } = useTranslation();
  const documents = useDocuments(knowledgeBaseId);
  const items = documents.data?.pages.flatMap((page) => page.items) ?? [];
  if (documents.error)
    return <ProblemAlert error={documents.error} onRetry={() => void documents.refetch()} />;
  if (documents.isPending) return <Skeleton h={160} radius="lg" />;
  if (items.length === 0) {
    const text = mayEdit ? t("doc.noneText") : t("doc.noneTextViewer");
    return <EmptyState icon={<IconFileText size={24} />} title={t("doc.none")} text={text} />;
  }
  return (
    <>
      <ul className={classes.list}>
        {items.map((document) => (
          <Row key={document.id} document={document} mayEdit={mayEdit} />
        ))}
      </ul>
      {documents.hasNextPage && (
        <Button
          variant="subtle"
          mt="sm"
          loading={documents.isFetchingNextPage}
          onClick={() => void documents.fetchNextPage()}
        >
          {t("common.more")}
        </Button>
      )}
    </>
  );
}

function Row({ document, mayEdit }: { document: Document; mayEdit: boolean }) {
  const { t } = useTranslation();
  const format = useFormat();
  const [isDeleting, setDeleting] = useState(false);
  const remove = useDeleteDocument(document.id, document.knowledge_base_id);
  const facts = [
    kindOf(document.path),
    document.pages === null ? null : t("common.pages", { count: document.pages }),
    t("doc.passagesCount", { count: document.passages }),
    format.bytes(document.size_bytes),
    format.relative(document.updated_at),
  ];
  return (
    <li className={classes.row} data-testid="document-row" data-title={document.title}>
      <IconFileText size={20} className={classes.icon} aria-hidden />
      <div className={classes.body}>
        <Link to="/documents/$documentId" params={{ documentId: document.id }} className={classes.title}>
          {document.title}
        </Link>
        <div className={classes.facts}>{facts.filter(Boolean).join(" · ")}</div>
      </div>
      <ReadersBadge readers={document.readers} />
      {mayEdit && (
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={`${t("doc.delete")}: ${document.title}`}
          onClick={() => setDeleting(true)}
        >
          <IconTrash size={17} />
        </ActionIcon>
      )}
      <ConfirmModal
        opened={isDeleting}
        title={t("doc.deleteTitle")}
        text={t("doc.deleteText", { title: document.title })}
        confirm={t("common.delete")}
        pending={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate(undefined, { onSuccess: () => setDeleting(false) })}
        onClose={() => setDeleting(false)}
      />
    </li>
  );
}

/** The file's ending, as people know its kind. */
function kindOf(path: string): string | null {
  return /\.([a-z0-9]{1,5})$/i.exec(path)?.[1]?.toUpperCase() ?? null;
}
