import { useTranslation } from "react-i18next";
import type { DocumentNote } from "@/api/types";
import { useFormat } from "@/i18n/format";
import classes from "./VersionRow.module.css";

/** What is to be known of a document that was read: pages without text, attachments left out. */
export function VersionNotes({ notes }: { notes: DocumentNote[] }) {
  const { t } = useTranslation();
  const write = useNoteText();
  if (notes.length === 0) return null;
  return (
    <ul className={classes.notes} aria-label={t("upload.notes")} data-testid="version-notes">
      {notes.map((note) => (
        <li key={note.code}>{write(note)}</li>
      ))}
    </ul>
  );
}

function useNoteText() {
  const { t } = useTranslation();
  const format = useFormat();
  return ({ code, count, pages = [], names = [] }: DocumentNote) => {
    const text = t(`upload.note.${code}`, { count });
    const more = (known: number) => (known < count ? ["…"] : []);
    if (names.length > 0) {
      return t("upload.named", { text, names: format.list([...names, ...more(names.length)]) });
    }
    if (pages.length > 0) {
      return t("upload.onPages", { text, pages: [...pages, ...more(pages.length)].join(", ") });
    }
    return text;
  };
}
