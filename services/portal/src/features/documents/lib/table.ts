/** A table passage, whose text has a row a line and ` | ` between cells. */
export interface TextTable {
  /** Lines above the first row. */
  caption: string[];
  header: string[];
  rows: string[][];
}

/** Read a table passage; null if its text is no table after all. */
export function readTable(text: string): TextTable | null {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const cells = lines.map((line) => line.split(" | ").map((cell) => cell.trim()));
  const first = cells.findIndex((row) => row.length > 1);
  const header = cells[first];
  if (!header) return null;
  return { caption: lines.slice(0, first), header, rows: cells.slice(first + 1) };
}

/** Whether a row is part of a quote, or the quote part of the row, white space and bars apart. */
export function isQuoted(row: string[], quote: string): boolean {
  const bare = (text: string) => text.replace(/[\s|]+/g, "");
  const [inRow, inQuote] = [bare(row.join("")), bare(quote)];
  return inRow !== "" && inQuote !== "" && (inRow.includes(inQuote) || inQuote.includes(inRow));
}
