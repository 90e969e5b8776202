/** A sentence without its Markdown marks: emphasis and code keep their words, images leave nothing. */
export function plainText(markdown: string): string {
  return markdown
    .replace(/!\[[^\]]*\]\([^)]*\)/g, "")
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/<[^>]*>/g, "")
    .replace(/(\*\*|__|~~|`)/g, "")
    .trim();
}
