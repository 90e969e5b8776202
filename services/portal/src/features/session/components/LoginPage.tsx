import { Alert, Button, Text, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import {
  IconArrowRight,
  IconFileCheck,
  IconInfoCircle,
  IconLock,
  IconMessageCircleQuestion,
} from "@tabler/icons-react";
import { useRouter, useSearch } from "@tanstack/react-router";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { Seal } from "@/ui/Seal";
import { useSession } from "../hooks/useSession";
import { localPath, signInUrl } from "../lib/sign-in";
import { LanguageSwitch, ThemeSwitch } from "./AccountMenu";
import classes from "./LoginPage.module.css";

const POINTS = [
  { key: "cited", Icon: IconFileCheck },
  { key: "rights", Icon: IconLock },
  { key: "honest", Icon: IconMessageCircleQuestion },
] as const;

export function LoginPage() {
  const { t, i18n } = useTranslation();
  const { next = "/", expired } = useSearch({ from: "/login" });
  const session = useSession();
  useDocumentTitle(t("app.title", { page: t("login.signIn") }));
  const router = useRouter();
  const isSignedIn = Boolean(session.data);
  useEffect(() => {
    if (isSignedIn) router.history.replace(localPath(next));
  }, [isSignedIn, next, router]);
  return (
    <main className={classes.page}>
      <div className={classes.switches}>
        <LanguageSwitch />
        <ThemeSwitch />
      </div>
      <div className={classes.hero}>
        <div className={classes.words}>
          <div className={classes.brand}>
            <Seal size={44} />
            <span className={classes.name}>
              <span lang="zh-CN">知库</span> <span className={classes.latin}>Zhiku</span>
            </span>
          </div>
          <Title order={1} className={classes.title}>
            {t("login.title")}
          </Title>
          <Text className={classes.lead}>{t("login.lead")}</Text>
          {expired && (
            <Alert color="pine" icon={<IconInfoCircle />} role="status" mt="md">
              {t("login.expired")}
            </Alert>
          )}
          {session.error ? (
            <ProblemAlert error={session.error} onRetry={() => void session.refetch()} />
          ) : null}
          <Button
            component="a"
            href={signInUrl({ next, language: i18n.language })}
            size="lg"
            mt="xl"
            rightSection={<IconArrowRight size={18} />}
            data-testid="login-button"
          >
            {t("login.signIn")}
          </Button>
        </div>
        <Sheet />
      </div>
      <ul className={classes.points}>
        {POINTS.map(({ key, Icon }) => (
          <li key={key}>
            <Icon size={22} className={classes.icon} aria-hidden />
            <Text fw={600}>{t(`login.points.${key}.title`)}</Text>
            <Text size="sm" c="dimmed">
              {t(`login.points.${key}.text`)}
            </Text>
          </li>
        ))}
      </ul>
    </main>
  );
}

/** A page with one marked line and the sentence that stands on it: the product in one picture. */
function Sheet() {
  return (
    <svg className={classes.sheet} viewBox="0 0 360 300" aria-hidden="true">
      <rect className={classes.paper} x="90" y="14" width="230" height="272" rx="6" />
      <path
        className={classes.lines}
        d="M116 50h96M116 78h178M116 94h168M116 110h178M116 126h120M116 206h178M116 222h150M116 238h178M116 254h92"
      />
      <rect className={classes.mark} x="110" y="148" width="190" height="34" rx="3" />
      <path className={classes.linesMarked} d="M116 158h178M116 173h140" />
      <path className={classes.thread} d="M110 165H78c-14 0-14 26-14 38" />
      <rect className={classes.answer} x="14" y="204" width="148" height="66" rx="12" />
      <path className={classes.linesAnswer} d="M30 224h112M30 238h84" />
      <circle className={classes.chip} cx="132" cy="238" r="9" />
      <text className={classes.number} x="132" y="242">
        1
      </text>
      <path className={classes.linesAnswer} d="M30 254h60" />
    </svg>
  );
}
