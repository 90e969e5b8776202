import { type RefObject, useEffect, useState } from "react";
import { isCancelled, openPdf, type PDFDocumentProxy, type PDFPageProxy, type RenderTask } from "../lib/pdf";

interface Loaded<T> {
  value: T | null;
  hasFailed: boolean;
}

/** The PDF at an address; closed when the component goes. */
export function usePdf(url: string): Loaded<PDFDocumentProxy> {
  const [pdf, setPdf] = useState<Loaded<PDFDocumentProxy>>({ value: null, hasFailed: false });
  useEffect(() => {
    const task = openPdf(url);
    let isGone = false;
    task.promise.then(
      (value) => !isGone && setPdf({ value, hasFailed: false }),
      () => !isGone && setPdf({ value: null, hasFailed: true }),
    );
    return () => {
      isGone = true;
      void task.destroy();
    };
  }, [url]);
  return pdf;
}

/** One page, from 1. */
export function usePdfPage(pdf: PDFDocumentProxy | null, number: number): Loaded<PDFPageProxy> {
  const [page, setPage] = useState<Loaded<PDFPageProxy>>({ value: null, hasFailed: false });
  useEffect(() => {
    if (!pdf) return undefined;
    let isGone = false;
    pdf.getPage(number).then(
      (value) => !isGone && setPage({ value, hasFailed: false }),
      () => !isGone && setPage({ value: null, hasFailed: true }),
    );
    return () => {
      isGone = true;
    };
  }, [pdf, number]);
  return page;
}

/** Draw a page `widthPx` CSS pixels wide on the canvas. True once it is drawn. */
export function useDrawing(
  canvas: RefObject<HTMLCanvasElement | null>,
  page: PDFPageProxy | null,
  widthPx: number,
) {
  const [drawn, setDrawn] = useState<Loaded<PDFPageProxy>>({ value: null, hasFailed: false });
  useEffect(() => {
    if (!page || !canvas.current || widthPx <= 0) return undefined;
    const density = Math.min(window.devicePixelRatio || 1, 2);
    const viewport = page.getViewport({ scale: (widthPx * density) / page.getViewport({ scale: 1 }).width });
    const sheet = document.createElement("canvas");
    sheet.width = Math.floor(viewport.width);
    sheet.height = Math.floor(viewport.height);
    const task: RenderTask = page.render({ canvas: sheet, viewport });
    task.promise.then(
      () => {
        show(sheet, canvas.current);
        setDrawn({ value: page, hasFailed: false });
      },
      (error: unknown) => !isCancelled(error) && setDrawn({ value: null, hasFailed: true }),
    );
    return () => task.cancel();
  }, [canvas, page, widthPx]);
  return { isDrawn: page !== null && drawn.value === page, hasFailed: drawn.hasFailed };
}

/** Drawing off screen and copying at once keeps the old picture until the new one is whole. */
function show(sheet: HTMLCanvasElement, canvas: HTMLCanvasElement | null): void {
  if (!canvas) return;
  canvas.width = sheet.width;
  canvas.height = sheet.height;
  canvas.getContext("2d")?.drawImage(sheet, 0, 0);
}
