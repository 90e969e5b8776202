import { lazy, Suspense } from "react";
import { plainText } from "../lib/plain-text";

const SafeMarkdown = lazy(() => import("./SafeMarkdown"));

/** One sentence of model text, inline; its words alone until the Markdown renderer has been fetched. */
export function AnswerMarkdown({ text }: { text: string }) {
  return (
    <Suspense fallback={plainText(text)}>
      <SafeMarkdown text={text} />
    </Suspense>
  );
}
