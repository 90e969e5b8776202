import i18next from "i18next";
import { initReactI18next } from "react-i18next";

export const LANGUAGES = ["zh-CN", "en"] as const;
export type Language = (typeof LANGUAGES)[number];

const KEY = "zhiku.language";
/** Each language is a file of its own, so that nobody loads both; so are the texts of the desks that few ever open. */
const LOAD = {
  everywhere: {
    en: async () => (await import("./en.json")).default,
    "zh-CN": async () => (await import("./zh-CN.json")).default,
  },
  desk: {
    en: async () => (await import("./en.desk.json")).default,
    "zh-CN": async () => (await import("./zh-CN.desk.json")).default,
  },
} satisfies Record<string, Record<Language, () => Promise<object>>>;
type Part = keyof typeof LOAD;

const needed = new Set<Part>(["everywhere"]);

function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** The language chosen before, or else the browser's. */
function initialLanguage(): Language {
  const wanted = stored() ?? navigator.language;
  return wanted.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
}

export function currentLanguage(): Language {
  return i18next.language === "zh-CN" ? "zh-CN" : "en";
}

async function load(language: Language): Promise<void> {
  const texts = await Promise.all([...needed].map((part) => LOAD[part][language]()));
  for (const each of texts) i18next.addResourceBundle(language, "translation", each, true, true);
}

/** Make the desks' words ready too, in this language and in those switched to later. */
export async function loadDeskTexts(): Promise<void> {
  needed.add("desk");
  await load(currentLanguage());
}

export async function setLanguage(language: Language): Promise<void> {
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // Storage is blocked: the choice lasts as long as the page.
  }
  await load(language);
  await i18next.changeLanguage(language);
}

/** Make the words of the reader's language ready; nothing is shown before. */
export async function startLanguage(): Promise<void> {
  const language = initialLanguage();
  await load(language);
  await i18next.changeLanguage(language);
}

i18next.on("languageChanged", (language) => {
  document.documentElement.lang = language;
});

void i18next.use(initReactI18next).init({
  resources: {},
  // Both languages say the same things; a test sees to it.
  fallbackLng: false,
  interpolation: { escapeValue: false },
  returnNull: false,
});

export { i18next };
