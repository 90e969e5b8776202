import { Popover, Text, UnstyledButton } from "@mantine/core";
import { type KeyboardEvent, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Citation } from "@/api/types";
import { usePlace } from "@/features/documents/hooks/usePlace";
import { languageOf } from "@/features/answers/lib/answer-text";
import classes from "./CitationChip.module.css";

interface Props {
  citation: Citation;
  isOpen: boolean;
  onOpen: (citation: Citation) => void;
}

/** The name of a citation, as a screen reader says it. */
export function useCitationLabel() {
  const { t } = useTranslation();
  return ({ n, document, page }: Citation) =>
    page === null ? t("citation.chip", { n, document }) : t("citation.chipPage", { n, document, page });
}

/** The number beside a sentence. Hover or focus shows a card, a click opens the passage in its page. */
export function CitationChip({ citation, isOpen, onOpen }: Props) {
  const label = useCitationLabel();
  const card = useCard();
  const cardId = useId();
  return (
    <Popover
      opened={card.isShown}
      position="top"
      width="min(20rem, calc(100vw - 1rem))"
      shadow="md"
      withArrow
      trapFocus={false}
      returnFocus={false}
      withRoles={false}
    >
      <Popover.Target>
        <UnstyledButton
          className={classes.chip}
          aria-label={label(citation)}
          aria-expanded={isOpen}
          aria-describedby={card.isShown ? cardId : undefined}
          onClick={() => onOpen(citation)}
          {...card.target}
          data-testid="citation-chip"
          data-n={citation.n}
        >
          {citation.n}
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown {...card.dropdown} id={cardId} role="tooltip" p="sm">
        <CitationCard citation={citation} />
      </Popover.Dropdown>
    </Popover>
  );
}

function CitationCard({ citation }: { citation: Citation }) {
  const place = usePlace()(citation, citation.document);
  return (
    <div data-testid="citation-card">
      <Text fw={600} size="sm" className={classes.title}>
        {citation.document}
      </Text>
      {place && (
        <Text size="xs" c="dimmed">
          {place}
        </Text>
      )}
      <Text size="sm" mt={6} lineClamp={5} lang={languageOf(citation.quote)}>
        <mark>{citation.quote}</mark>
      </Text>
    </div>
  );
}

/** Shown on hover and focus, stays while the pointer is on it, and Escape dismisses it (WCAG 1.4.13). */
function useCard() {
  const [isShown, setShown] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const after = (delayMs: number, shown: boolean) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setShown(shown), delayMs);
  };
  const hover = { onMouseEnter: () => after(150, true), onMouseLeave: () => after(200, false) };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !isShown) return;
    event.stopPropagation();
    after(0, false);
  };
  return {
    isShown,
    dropdown: hover,
    target: { ...hover, onFocus: () => after(0, true), onBlur: () => after(0, false), onKeyDown },
  };
}
