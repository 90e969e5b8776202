import { Text, UnstyledButton } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Citation } from "@/api/types";
import classes from "./SourceList.module.css";

interface Props {
  heading: string;
  citations: Citation[];
  openCitation: number | null;
  onOpen: (citation: Citation) => void;
}

/** The sources of an answer by number, each a button that opens its passage. */
export function SourceList({ heading, citations, openCitation, onOpen }: Props) {
  const { t } = useTranslation();
  const whereIn = ({ page, heading_path, document }: Citation) => {
    if (page !== null) return t("common.page", { page });
    const last = heading_path.at(-1);
    return last === document ? null : last;
  };
  if (citations.length === 0) return null;
  return (
    <div className={classes.sources}>
      <Text component="h3" className={classes.heading}>
        {heading}
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
              <span className={classes.page}>{whereIn(citation)}</span>
            </UnstyledButton>
          </li>
        ))}
      </ol>
    </div>
  );
}
