import { Text } from "@mantine/core";
import type { Ref } from "react";
import { useTranslation } from "react-i18next";
import type { Passage } from "@/api/types";
import { SafetyNote } from "@/features/safety/components/SafetyNote";
import { markQuote } from "../lib/highlight";
import { readTable } from "../lib/table";
import { unwrap } from "../lib/unwrap";
import { Marked } from "./Marked";
import { PassageTable } from "./PassageTable";
import classes from "./PassageText.module.css";

interface Props {
  ref?: Ref<HTMLElement>;
  passage: Passage;
  /** Marked in the text. */
  quote?: string;
  isCurrent?: boolean;
}

const LANGUAGES = { zh: "zh-CN", en: "en", other: undefined };

/** One passage as text, under its headings. */
export function PassageText({ ref, passage, quote, isCurrent = false }: Props) {
  const { t } = useTranslation();
  const text = unwrap(passage.text);
  const table = passage.kind === "table" ? readTable(passage.text) : null;
  return (
    <article
      ref={ref}
      className={classes.passage}
      data-current={isCurrent || undefined}
      data-testid="passage"
    >
      <Text size="xs" c="dimmed" mb={4}>
        {[t("doc.ordinal", { n: passage.ordinal + 1 }), ...passage.heading_path].join(" › ")}
      </Text>
      <SafetyNote kind="warning" categories={passage.warnings} />
      <div lang={LANGUAGES[passage.language]}>
        {table ? (
          <PassageTable table={table} quote={quote} />
        ) : (
          <div className={classes.text}>
            <Marked pieces={quote === undefined ? [{ text, isMarked: false }] : markQuote(text, quote)} />
          </div>
        )}
      </div>
    </article>
  );
}
