import { Fragment } from "react";
import Markdown, { type Components } from "react-markdown";
import rehypeSanitize, { type Options } from "rehype-sanitize";

// What a model writes is untrusted. Only emphasis and code survive: a link keeps its words and loses its
// address, an image vanishes, so that nothing in an answer can load or lead anywhere but our citations.
const SCHEMA: Options = {
  tagNames: ["p", "strong", "em", "del", "code", "br"],
  attributes: {},
  strip: ["script", "style"],
};

const COMPONENTS: Components = { p: ({ children }) => <Fragment>{children}</Fragment> };

/** One sentence of model text, inline. */
export default function SafeMarkdown({ text }: { text: string }) {
  return (
    <Markdown skipHtml rehypePlugins={[[rehypeSanitize, SCHEMA]]} components={COMPONENTS}>
      {text.trim()}
    </Markdown>
  );
}
