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
 * said it. The server's own words are kept in English: they name the thing, the translation cannot.
 */
export function useProblemText(): (problem: Said) => ProblemText {
  const { t, i18n } = useTranslation();
  return ({ code, detail, remedy }) => {
    const known = i18n.exists(`problem.${code}`);
    const translated = known
      ? (t(`problem.${code}` as "problem.network", { returnObjects: true }) as ProblemText)
      : { detail: t("error.unknown"), remedy: t("error.unknownRemedy") };
    const keepServerWords = i18n.language === "en" || !known;
    return {
      detail: (keepServerWords && detail) || translated.detail,
      remedy: (keepServerWords && remedy) || translated.remedy,
    };
  };
}
