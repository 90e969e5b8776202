import { ActionIcon, Alert, Loader, Text } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import {
  IconArrowAutofitWidth,
  IconChevronLeft,
  IconChevronRight,
  IconMinus,
  IconPlus,
} from "@tabler/icons-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Document, Region } from "@/api/types";
import { useDrawing, usePdf, usePdfPage } from "../hooks/usePdf";
import { boxesOn } from "../lib/regions";
import classes from "./PdfPages.module.css";

interface Props {
  document: Document;
  page: number;
  regions: Region[];
  fallback: ReactNode;
  onPage?: (page: number) => void;
}

const ZOOMS = [1, 1.25, 1.5, 2, 3] as const;

export default function PdfPages({ document, page: first, regions, fallback, onPage }: Props) {
  const { t } = useTranslation();
  const [number, setNumber] = useState(first);
  const [begun, setBegun] = useState(first);
  if (begun !== first) {
    setBegun(first);
    setNumber(first);
  }
  const [zoom, setZoom] = useState(0);
  const pdf = usePdf(`/api/v1/documents/${encodeURIComponent(document.id)}/content`);
  const page = usePdfPage(pdf.value, number);
  const { ref: frame, width } = useElementSize();
  const canvas = useRef<HTMLCanvasElement>(null);
  const widthPx = Math.round(width * (ZOOMS[zoom] ?? 1));
  const drawing = useDrawing(canvas, page.value, widthPx);

  const count = pdf.value?.numPages ?? document.pages ?? first;
  const turn = (to: number) => {
    setNumber(to);
    onPage?.(to);
  };
  if (pdf.hasFailed || page.hasFailed || drawing.hasFailed) {
    return (
      <div className={classes.failed}>
        <Alert m="sm">{t("pdf.failed")}</Alert>
        <div className={classes.fallback}>{fallback}</div>
      </div>
    );
  }
  const size = page.value?.getViewport({ scale: 1 });
  return (
    <div className={classes.pages}>
      <div className={classes.toolbar}>
        <Tool
          label={t("pdf.previous")}
          disabled={number <= 1}
          onClick={() => turn(number - 1)}
          icon={<IconChevronLeft size={17} />}
        />
        <Text size="sm" aria-live="polite">
          {t("pdf.page", { page: number, count })}
        </Text>
        <Tool
          label={t("pdf.next")}
          disabled={number >= count}
          onClick={() => turn(number + 1)}
          icon={<IconChevronRight size={17} />}
        />
        <span className={classes.gap} />
        <Tool
          label={t("pdf.zoomOut")}
          disabled={zoom === 0}
          onClick={() => setZoom(zoom - 1)}
          icon={<IconMinus size={17} />}
        />
        <Tool
          label={t("pdf.fit")}
          disabled={zoom === 0}
          onClick={() => setZoom(0)}
          icon={<IconArrowAutofitWidth size={17} />}
        />
        <Tool
          label={t("pdf.zoomIn")}
          disabled={zoom === ZOOMS.length - 1}
          onClick={() => setZoom(zoom + 1)}
          icon={<IconPlus size={17} />}
        />
      </div>
      {/* A zoomed page is wider than its frame: the tab stop lets a keyboard scroll it. */}
      <div className={classes.scroller} tabIndex={0} role="region" aria-label={document.title}>
        <div ref={frame} className={classes.frame}>
          <div
            className={classes.sheet}
            style={{ width: widthPx || "100%", aspectRatio: size && `${size.width} / ${size.height}` }}
          >
            <canvas
              ref={canvas}
              className={classes.canvas}
              role="img"
              aria-label={t("pdf.image", { page: number, document: document.title })}
              data-testid="pdf-canvas"
              data-page={number}
              data-drawn={drawing.isDrawn || undefined}
            />
            {size && drawing.isDrawn && <Highlights boxes={boxesOn(regions, number, size)} />}
            {!drawing.isDrawn && (
              <Loader className={classes.loader ?? ""} role="img" aria-label={t("pdf.loading")} />
            )}
          </div>
        </div>
      </div>
    </div>
  );
}

function Highlights({ boxes }: { boxes: ReturnType<typeof boxesOn> }) {
  const first = useRef<HTMLDivElement>(null);
  useEffect(() => {
    first.current?.scrollIntoView({ block: "center", inline: "nearest" });
  }, []);
  return boxes.map((box, index) => (
    <div
      key={`${box.left} ${box.top} ${box.width} ${box.height}`}
      ref={index === 0 ? first : undefined}
      className={classes.highlight}
      style={box}
      data-testid="pdf-highlight"
    />
  ));
}

interface ToolProps {
  label: string;
  icon: ReactNode;
  disabled: boolean;
  onClick: () => void;
}

function Tool({ label, icon, disabled, onClick }: ToolProps) {
  return (
    <ActionIcon variant="subtle" color="gray" aria-label={label} disabled={disabled} onClick={onClick}>
      {icon}
    </ActionIcon>
  );
}
