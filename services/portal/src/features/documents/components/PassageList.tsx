import { Button, Loader, Text } from "@mantine/core";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { usePassages } from "../hooks/useDocuments";
import classes from "./PassageList.module.css";
import { PassageText } from "./PassageText";

interface Props {
  documentId: string;
  /** Only the passages of this page; null for all. */
  page: number | null;
  current: string | undefined;
}

export function PassageList({ documentId, page, current }: Props) {
  const { t } = useTranslation();
  const passages = usePassages(documentId, page);
  const items = passages.data?.pages.flatMap(({ items: some }) => some) ?? [];
  const marked = useRef<HTMLElement>(null);
  const isFound = items.some(({ id }) => id === current);
  useEffect(() => {
    if (isFound) marked.current?.scrollIntoView({ block: "nearest" });
  }, [isFound, current]);
  return (
    <section aria-label={t("doc.passagesTitle")}>
      <Text component="h2" className={classes.heading}>
        {page === null ? t("doc.passagesTitle") : t("doc.passagesOfPage", { page })}
      </Text>
      {passages.isPending && <Loader m="md" />}
      {passages.error && <ProblemAlert error={passages.error} onRetry={() => void passages.refetch()} />}
      {passages.isSuccess && items.length === 0 && (
        <Text c="dimmed" p="md">
          {t("doc.noPassages")}
        </Text>
      )}
      {items.map((passage) =>
        passage.id === current ? (
          <PassageText key={passage.id} ref={marked} passage={passage} isCurrent />
        ) : (
          <PassageText key={passage.id} passage={passage} />
        ),
      )}
      {passages.hasNextPage && (
        <Button
          variant="subtle"
          m="sm"
          loading={passages.isFetchingNextPage}
          onClick={() => void passages.fetchNextPage()}
        >
          {t("common.more")}
        </Button>
      )}
    </section>
  );
}
