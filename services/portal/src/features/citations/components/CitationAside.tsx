import { Loader } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { lazy, Suspense, useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import type { Citation } from "@/api/types";
import { SideSheet } from "@/ui/SideSheet";
import classes from "./CitationAside.module.css";

const CitationPanel = lazy(() => import("./CitationPanel"));

interface Props {
  citation: Citation;
  citations: Citation[];
  onSelect: (citation: Citation) => void;
  onClose: () => void;
}

/** The citation panel: beside the chat where there is room, over it where there is not. */
export function CitationAside(props: Props) {
  const { t } = useTranslation();
  const isNarrow = useMediaQuery("(max-width: 70rem)", undefined, { getInitialValueInEffect: false });
  if (!isNarrow) return <Beside {...props} />;
  return (
    <SideSheet
      label={t("citation.panel")}
      side="right"
      size="min(100%, 38rem)"
      opened
      onClose={props.onClose}
    >
      <Suspense fallback={<Loader m="md" />}>
        <CitationPanel {...props} />
      </Suspense>
    </SideSheet>
  );
}

function Beside(props: Props) {
  const { t } = useTranslation();
  const aside = useRef<HTMLElement>(null);
  const { onClose } = props;
  useEffect(() => {
    const opener = document.activeElement;
    aside.current?.focus({ preventScroll: true });
    return () => {
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus({ preventScroll: true });
    };
  }, []);
  return (
    // Escape closes the panel from wherever the focus is inside it.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <aside
      ref={aside}
      className={classes.aside}
      aria-label={t("citation.panel")}
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        onClose();
      }}
    >
      <Suspense fallback={<Loader m="md" />}>
        <CitationPanel {...props} />
      </Suspense>
    </aside>
  );
}
