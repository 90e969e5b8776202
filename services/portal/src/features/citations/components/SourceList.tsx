import { Text, UnstyledButton } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Citation } from "@/api/types";
import classes from "./SourceList.module.css";

interface Props {
  citations: Citation[];
  openCitation: number | null;
  onOpen: (citation: Citation) => void;
}

/** The sources of an answer by number, each a button that opens its passage. */
export function SourceList({ citations, openCitation, onOpen }: Props) {
  const { t } = useTranslation();
  if (citations.length === 0) return null;
  return (
    <div className={classes.sources}>
      <Text component="h3" className={classes.heading}>
        {t("answer.sourcesCount", { count: citations.length })}
      </Text>
      <ol className={classes.list}>
        {citations.map((citation) => (
          <li key={citation.n}>
            <UnstyledButton
              className={classes.source}
              aria-expanded={openCitation === citation.n}
              onClick={() => onOpen(citation)}
              data-testid="source-item"
            >
              <span className={classes.number}>{citation.n}</span>
              <span className={classes.document}>{citation.document}</span>
              {citation.page !== null && (
                <span className={classes.page}>{t("common.page", { page: citation.page })}</span>
              )}
            </UnstyledButton>
          </li>
        ))}
      </ol>
    </div>
  );
}
