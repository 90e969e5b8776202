import { Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { FoundPassage } from "@/api/types";
import { Marked } from "@/features/documents/components/Marked";
import { usePlace } from "@/features/documents/hooks/usePlace";
import { markWords } from "@/features/documents/lib/highlight";
import { SafetyNote } from "@/features/safety/components/SafetyNote";
import { useFormat } from "@/i18n/format";
import classes from "./SearchPage.module.css";

/** One passage found: where it stands, its text with the query's words marked, and its scores. */
export function SearchHit({ found, query }: { found: FoundPassage; query: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { passage, score, cosine, word_overlap } = found;
  const place = usePlace()(passage, passage.document_title);
  const words = format.score(word_overlap);
  return (
    <li className={classes.hit} data-testid="search-hit">
      <h2 className={classes.title}>
        <Link
          to="/documents/$documentId"
          params={{ documentId: passage.document_id }}
          search={{ page: passage.page ?? undefined, passage: passage.id }}
        >
          {passage.document_title}
        </Link>
      </h2>
      {place && (
        <Text size="xs" c="dimmed">
          {place}
        </Text>
      )}
      <SafetyNote kind="warning" categories={passage.warnings} />
      <Text className={classes.text ?? ""} lang={passage.language === "zh" ? "zh-CN" : "en"} lineClamp={5}>
        <Marked pieces={markWords(passage.text, query)} />
      </Text>
      <Text size="xs" c="dimmed">
        {t("search.score", { score: format.score(score) })} ·{" "}
        {cosine === null
          ? t("search.scoreWords", { words })
          : t("search.scoreParts", { cosine: format.score(cosine), words })}
      </Text>
    </li>
  );
}
