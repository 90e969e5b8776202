import { useTranslation } from "react-i18next";

type Group = "method" | "methodHelp" | "field" | "counted";

/** What the service names, in the reader's words; what is new to the portal stays as the service calls it. */
export function useNames() {
  const { t, i18n } = useTranslation();
  return (group: Group, name: string): string => {
    const key: string = `training.${group}.${name}`;
    return i18n.exists(key) ? t(key as "training.method.lora") : name;
  };
}
