import { useTranslation } from "react-i18next";

interface Place {
  heading_path: string[];
  page: number | null;
}

/** Where in its document a passage stands: its headings, without the document's own title, and its page. */
export function usePlace(): (place: Place, title: string) => string {
  const { t } = useTranslation();
  return ({ heading_path, page }, title) => {
    const headings = heading_path[0] === title ? heading_path.slice(1) : heading_path;
    return [...headings, ...(page === null ? [] : [t("common.page", { page })])].join(" › ");
  };
}
