import * as pdfjs from "pdfjs-dist";
import workerUrl from "pdfjs-dist/build/pdf.worker.min.mjs?url";

pdfjs.GlobalWorkerOptions.workerSrc = workerUrl;

export type { PDFDocumentProxy, PDFPageProxy, RenderTask } from "pdfjs-dist";

/** Open a PDF by address. Pages are fetched by byte range as they are shown. */
export function openPdf(url: string): pdfjs.PDFDocumentLoadingTask {
  return pdfjs.getDocument({
    url,
    cMapUrl: "/pdfjs/cmaps/",
    standardFontDataUrl: "/pdfjs/standard_fonts/",
    wasmUrl: "/pdfjs/wasm/",
    // The content security policy allows no WebAssembly; pdf.js brings JavaScript decoders beside it.
    useWasm: false,
    enableXfa: false,
    disableAutoFetch: true,
  });
}

export function isCancelled(error: unknown): boolean {
  return error instanceof pdfjs.RenderingCancelledException;
}
