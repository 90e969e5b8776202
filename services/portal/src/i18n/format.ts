import { useTranslation } from "react-i18next";

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** Dates, sizes and durations in the reader's language. Dates are ISO 8601 strings. */
export function useFormat() {
  const { t, i18n } = useTranslation();
  const language = i18n.language;
  return {
    date: (iso: string) => new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(new Date(iso)),
    dateTime: (iso: string) =>
      new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso)),
    relative: (iso: string) => relative(iso, language),
    bytes: (bytes: number) => size(bytes, language),
    /** A rough time to go: seconds below a minute, whole minutes above. */
    duration: (seconds: number) =>
      seconds < 60
        ? t("format.seconds", { count: Math.max(1, Math.round(seconds)) })
        : t("format.minutes", { count: Math.round(seconds / 60) }),
    list: (items: string[]) => new Intl.ListFormat(language, { type: "conjunction" }).format(items),
    score: (score: number) => score.toFixed(2),
  };
}

function relative(iso: string, language: string): string {
  const seconds = (new Date(iso).getTime() - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  const [unit, step] = STEPS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  return format.format(unit === "second" ? 0 : Math.trunc(seconds / step), unit);
}

function size(bytes: number, language: string): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  const digits = { style: "unit", unit: UNITS[power] ?? "byte", unitDisplay: "narrow" } as const;
  return new Intl.NumberFormat(language, { ...digits, maximumFractionDigits: value < 10 ? 1 : 0 }).format(
    value,
  );
}
