import type { Region } from "@/api/types";

interface Size {
  width: number;
  height: number;
}

interface Box {
  left: string;
  top: string;
  width: string;
  height: string;
}

const PADDING_PT = 2;

/**
 * Where the regions of one page lie, in per cent of the page, so that they hold at every zoom. Regions
 * are in points from the top left corner; so is `page`, the size of the page.
 */
export function boxesOn(regions: Region[], pageNumber: number, page: Size): Box[] {
  const percent = (value: number, whole: number) =>
    `${((100 * Math.min(Math.max(value, 0), whole)) / whole).toFixed(3)}%`;
  return regions
    .filter((region) => region.page === pageNumber)
    .map(({ x0, y0, x1, y1 }) => ({
      left: percent(x0 - PADDING_PT, page.width),
      top: percent(y0 - PADDING_PT, page.height),
      width: percent(x1 - x0 + 2 * PADDING_PT, page.width),
      height: percent(y1 - y0 + 2 * PADDING_PT, page.height),
    }));
}
