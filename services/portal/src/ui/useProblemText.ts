import { useTranslation } from "react-i18next";

export interface ProblemText {
  detail: string;
  remedy: string;
}

interface Said {
  code: string;
  detail: string;
  remedy: string;
}

/**
 * What went wrong and what to do, in the reader's language where the code is known, else as the server
 * said it. In English the server's own words come first: they can name the very thing.
 */
export function useProblemText(): (problem: Said) => ProblemText {
  const { t, i18n } = useTranslation();
  return ({ code, detail, remedy }) => {
    const isKnown = i18n.exists(`problem.${code}`);
    const key = (isKnown ? `problem.${code}` : "problem.internal") as "problem.internal";
    const translated: ProblemText = { detail: t(`${key}.detail`), remedy: t(`${key}.remedy`) };
    if (isKnown && i18n.language !== "en") return translated;
    return { detail: detail || translated.detail, remedy: remedy || translated.remedy };
  };
}
