import { Loader } from "@mantine/core";
import { lazy, type ReactNode, Suspense } from "react";
import type { Document, Region } from "@/api/types";

const PdfPages = lazy(() => import("./PdfPages"));

interface Props {
  document: Document;
  /** The page to begin with, from 1. */
  page: number;
  regions: Region[];
  /** Shown in place of pages that cannot be drawn. */
  fallback: ReactNode;
  onPage?: (page: number) => void;
}

/** The pages of a PDF; pdf.js is fetched only when one is shown. */
export function DocumentPages(props: Props) {
  return (
    <Suspense fallback={<Loader m="md" />}>
      <PdfPages {...props} />
    </Suspense>
  );
}
