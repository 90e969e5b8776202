import { Button, Loader, Text } from "@mantine/core";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import type { Passage } from "@/api/types";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { ProblemError } from "@/api/problem";
import { usePassage, usePassages } from "../hooks/useDocuments";
import classes from "./PassageContext.module.css";
import { PassageText } from "./PassageText";

/** How far to look for a passage in the listing of a long document before it is shown alone. */
const MOST_PAGES = 20;

/** A passage among its neighbours, its quote marked, for documents whose pages cannot be drawn. */
export function PassageContext({ passageId, quote }: { passageId: string; quote: string }) {
  const { t } = useTranslation();
  const passage = usePassage(passageId);
  if (passage.error instanceof ProblemError && passage.error.status === 404)
    return <Text p="md">{t("citation.gone")}</Text>;
  if (passage.error) return <ProblemAlert error={passage.error} onRetry={() => void passage.refetch()} />;
  if (!passage.data) return <Loader m="md" />;
  return <Neighbours passage={passage.data} quote={quote} />;
}

function Neighbours({ passage, quote }: { passage: Passage; quote: string }) {
  const { t } = useTranslation();
  const { data, hasNextPage, fetchNextPage, isFetchingNextPage, isPending } = usePassages(
    passage.document_id,
    passage.page,
  );
  const current = useRef<HTMLElement>(null);
  const items = data?.pages.flatMap(({ items: page }) => page) ?? [];
  const isFound = items.some(({ id }) => id === passage.id);
  const mayLookOn = (data?.pages.length ?? 0) < MOST_PAGES;
  useEffect(() => {
    if (mayLookOn && !isPending && !isFound && hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [mayLookOn, isPending, isFound, hasNextPage, isFetchingNextPage, fetchNextPage]);
  useEffect(() => {
    current.current?.scrollIntoView({ block: "center" });
  }, [isFound]);
  const around = isFound
    ? items.filter(({ ordinal }) => Math.abs(ordinal - passage.ordinal) <= 12)
    : [passage];
  return (
    <section tabIndex={0} className={classes.context} aria-label={t("citation.around")}>
      {around.map((item) =>
        item.id === passage.id ? (
          <PassageText key={item.id} ref={current} passage={item} quote={quote} isCurrent />
        ) : (
          <PassageText key={item.id} passage={item} />
        ),
      )}
      {isFound && hasNextPage && (
        <Button variant="subtle" m="sm" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {t("common.more")}
        </Button>
      )}
    </section>
  );
}
