import { Badge, SegmentedControl, Text, useMantineColorScheme } from "@mantine/core";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Session } from "@/api/types";
import { currentLanguage, type Language, setLanguage } from "@/i18n";
import { useFormat } from "@/i18n/format";
import { useSession } from "@/features/session/hooks/useSession";
import { PageFrame } from "@/ui/PageFrame";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useModels } from "../hooks/useModels";
import classes from "./SettingsPage.module.css";

const THEMES = ["auto", "light", "dark"] as const;

export function SettingsPage() {
  const { t } = useTranslation();
  const { data: session } = useSession();
  return (
    <PageFrame title={t("settings.title")}>
      <Preferences />
      {session && <Account session={session} />}
      <Models />
    </PageFrame>
  );
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className={classes.section}>
      <h2 className={classes.title}>{title}</h2>
      {children}
    </section>
  );
}

function Preferences() {
  const { t } = useTranslation();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <>
      <Section title={t("settings.language")}>
        <SegmentedControl
          aria-label={t("settings.language")}
          value={currentLanguage()}
          onChange={(language) => void setLanguage(language as Language)}
          data={[
            { value: "zh-CN", label: <span lang="zh-CN">中文</span> },
            { value: "en", label: <span lang="en">English</span> },
          ]}
        />
      </Section>
      <Section title={t("settings.theme")}>
        <SegmentedControl
          aria-label={t("settings.theme")}
          value={colorScheme}
          onChange={(scheme) => setColorScheme(scheme as (typeof THEMES)[number])}
          data={THEMES.map((value) => ({ value, label: t(`settings.themes.${value}`) }))}
        />
      </Section>
    </>
  );
}

function Account({ session }: { session: Session }) {
  const { t, i18n } = useTranslation();
  const format = useFormat();
  const role = (name: string) =>
    i18n.exists(`settings.role.${name}`) ? t(`settings.role.${name}` as "settings.role.employee") : name;
  const facts: [string, string][] = [
    [t("settings.name"), session.name],
    [t("settings.email"), session.email],
    [t("settings.department"), session.department],
    [t("settings.roles"), format.list(session.roles.map(role))],
    [t("settings.session"), format.dateTime(session.expires_at)],
  ];
  return (
    <Section title={t("settings.account")}>
      <dl className={classes.facts}>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value || "–"}</dd>
          </div>
        ))}
      </dl>
    </Section>
  );
}

const STATE_COLORS = { ready: "pine", loading: "gray", missing: "cinnabar" } as const;

function Models() {
  const { t } = useTranslation();
  const models = useModels();
  return (
    <Section title={t("settings.models")}>
      {models.error && <ProblemAlert error={models.error} onRetry={() => void models.refetch()} />}
      <ul className={classes.models}>
        {models.data?.models.map((model) => (
          <li key={model.id}>
            <div className={classes.model}>
              <span className={classes.id}>{model.id}</span>
              <Text span size="sm" c="dimmed">
                {t(`settings.model.${model.role}`)}
              </Text>
              <Badge variant="light" tt="none" radius="sm" color={STATE_COLORS[model.state]}>
                {t(`settings.modelState.${model.state}`)}
              </Badge>
            </div>
            {model.problem && <Text size="sm">{model.problem}</Text>}
          </li>
        ))}
      </ul>
    </Section>
  );
}
