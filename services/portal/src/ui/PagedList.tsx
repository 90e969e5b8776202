import { Button, Loader } from "@mantine/core";
import type { InfiniteData, UseInfiniteQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Page } from "@/api/types";
import { ProblemAlert } from "./ProblemAlert";
import classes from "./RowList.module.css";

interface Props<Item> {
  list: UseInfiniteQueryResult<InfiniteData<Page<Item>>>;
  /** What stands there when nothing does. */
  empty: ReactNode;
  /** A row, with its `key`. */
  renderRow: (item: Item) => ReactNode;
}

/** A listing that is read page by page. */
export function PagedList<Item>({ list, empty, renderRow }: Props<Item>) {
  const { t } = useTranslation();
  const items = list.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <>
      {list.isPending && <Loader />}
      {list.error && <ProblemAlert error={list.error} onRetry={() => void list.refetch()} />}
      {list.data && items.length === 0 && empty}
      <ul className={classes.list}>{items.map(renderRow)}</ul>
      {list.hasNextPage && (
        <Button
          variant="default"
          mt="md"
          loading={list.isFetchingNextPage}
          onClick={() => void list.fetchNextPage()}
        >
          {t("common.more")}
        </Button>
      )}
    </>
  );
}
