import { Tooltip, VisuallyHidden } from "@mantine/core";
import { Fragment, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Citation, Sentence } from "@/api/types";
import { CitationChip } from "@/features/citations/components/CitationChip";
import { blocksOf, gapBetween, languageOf, listMarker, withoutMarker } from "../lib/answer-text";
import classes from "./AnswerBody.module.css";
import { AnswerMarkdown } from "./AnswerMarkdown";

export interface Said {
  sentences: Sentence[];
  citations: Citation[];
  /** Text after the last finished sentence. */
  rest: string;
  isExtractive: boolean;
  isStreaming: boolean;
}

interface Props {
  said: Said;
  openCitation: number | null;
  onOpen: (citation: Citation) => void;
}

/** What was said, each sentence followed by the numbers of its sources. */
export function AnswerBody({ said, openCitation, onOpen }: Props) {
  const chips = (sentence: Sentence) =>
    said.citations
      .filter(({ n }) => sentence.citations.includes(n))
      .map((citation) => (
        <CitationChip
          key={citation.n}
          citation={citation}
          isOpen={openCitation === citation.n}
          onOpen={onOpen}
        />
      ));
  if (said.isExtractive) return <Extracts said={said} chips={chips} />;
  const isCited = said.sentences.some(({ citations }) => citations.length > 0);
  const blocks = blocksOf(said.sentences);
  return (
    <div
      className={classes.body}
      lang={languageOf(said.sentences.map(({ text }) => text).join("") + said.rest)}
    >
      {blocks.map((block, index) => (
        // Sentences only ever grow at the end, so their position names them.
        <div
          key={index}
          className={block.kind === "item" ? classes.item : undefined}
          data-marker={listMarker(block)}
        >
          {block.sentences.map((sentence, position) => (
            <Fragment key={position}>
              {position > 0 && gapBetween(block.sentences[position - 1]?.text ?? "", sentence.text)}
              <SentenceText
                sentence={sentence}
                isUnsupported={isCited && !said.isStreaming && sentence.citations.length === 0}
              />
              {chips(sentence)}
            </Fragment>
          ))}
          {index === blocks.length - 1 && <Rest said={said} />}
        </div>
      ))}
      {blocks.length === 0 && (
        <div>
          <Rest said={said} />
        </div>
      )}
    </div>
  );
}

function Rest({ said }: { said: Said }) {
  return (
    <>
      {said.rest && said.sentences.length > 0 && gapBetween(said.sentences.at(-1)?.text ?? "", said.rest)}
      {said.rest && <AnswerMarkdown text={said.rest} />}
      {said.isStreaming && <span className={classes.caret} aria-hidden="true" />}
    </>
  );
}

function SentenceText({ sentence, isUnsupported }: { sentence: Sentence; isUnsupported: boolean }) {
  const { t } = useTranslation();
  const text = <AnswerMarkdown text={withoutMarker(sentence.text)} />;
  if (!isUnsupported) return text;
  return (
    <Tooltip label={t("answer.unsupported")}>
      <span className={classes.unsupported} data-testid="unsupported-sentence">
        {text}
        <VisuallyHidden> ({t("answer.unsupported")})</VisuallyHidden>
      </span>
    </Tooltip>
  );
}

/** Quotations word for word; what has no source only leads in to them. */
function Extracts({ said, chips }: { said: Said; chips: (sentence: Sentence) => ReactNode }) {
  const originOf = ({ citations }: Sentence) => said.citations.find(({ n }) => n === citations[0])?.document;
  return (
    <div className={classes.body}>
      {said.sentences.map((sentence, index) =>
        sentence.citations.length === 0 ? (
          <div key={index} lang={languageOf(sentence.text)}>
            {sentence.text.trim()}
          </div>
        ) : (
          <blockquote key={index} className={classes.extract} lang={languageOf(sentence.text)}>
            <span className={classes.quote}>{withoutMarker(sentence.text).trim()}</span>
            <footer className={classes.origin}>
              {chips(sentence)}
              {originOf(sentence)}
            </footer>
          </blockquote>
        ),
      )}
      {said.rest && <div>{said.rest}</div>}
    </div>
  );
}
