import {
  ActionIcon,
  Avatar,
  Menu,
  Tooltip,
  UnstyledButton,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { IconLanguage, IconLogout, IconMoon, IconSettings, IconSun } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { currentLanguage, setLanguage } from "@/i18n";
import { useSession, useSignOut } from "../hooks/useSession";
import classes from "./AccountMenu.module.css";

/** Who is signed in, and the two switches that everyone looks for: language and light. */
export function AccountMenu() {
  const { t } = useTranslation();
  const session = useSession();
  const signOut = useSignOut();
  if (!session.data) return null;
  const { name, department } = session.data;
  return (
    <footer className={classes.bar}>
      <Menu position="top-start" width={220}>
        <Menu.Target>
          <UnstyledButton className={classes.account} data-testid="account-menu">
            <Avatar color="pine" size={32} radius="xl" aria-hidden>
              {initials(name)}
            </Avatar>
            <span className={classes.names}>
              <span className={classes.name}>{name}</span>
              <span className={classes.department}>{department}</span>
            </span>
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item component={Link} to="/settings" leftSection={<IconSettings size={16} />}>
            {t("nav.settings")}
          </Menu.Item>
          <Menu.Item
            leftSection={<IconLogout size={16} />}
            onClick={() => signOut.mutate()}
            data-testid="sign-out"
          >
            {t("nav.signOut")}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <LanguageSwitch />
      <ThemeSwitch />
    </footer>
  );
}

function initials(name: string): string {
  return [...name.trim()][0]?.toUpperCase() ?? "?";
}

export function LanguageSwitch() {
  const { t } = useTranslation();
  const other = currentLanguage() === "en" ? "zh-CN" : "en";
  return (
    <Tooltip label={t("palette.switchLanguage")}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        aria-label={t("palette.switchLanguage")}
        lang={other}
        onClick={() => void setLanguage(other)}
        data-testid="language-switch"
      >
        <IconLanguage size={18} />
      </ActionIcon>
    </Tooltip>
  );
}

export function ThemeSwitch() {
  const { t } = useTranslation();
  const { setColorScheme } = useMantineColorScheme();
  const isDark = useComputedColorScheme("light") === "dark";
  const label = t(isDark ? "theme.toLight" : "theme.toDark");
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        aria-label={label}
        onClick={() => setColorScheme(isDark ? "light" : "dark")}
        data-testid="theme-switch"
      >
        {isDark ? <IconSun size={18} /> : <IconMoon size={18} />}
      </ActionIcon>
    </Tooltip>
  );
}
