import { Text, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import classes from "./PageFrame.module.css";

interface Props {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  above?: ReactNode;
  wide?: boolean;
  children: ReactNode;
}

/** A page other than the chat: heading, lead and actions, then the content in a readable measure. */
export function PageFrame({ title, lead, actions, above, wide = false, children }: Props) {
  const { t } = useTranslation();
  useDocumentTitle(t("app.title", { page: title }));
  return (
    <div className={classes.scroll}>
      <div className={classes.page} data-wide={wide || undefined}>
        {above}
        <header className={classes.header}>
          <div className={classes.heading}>
            <Title order={1} className={classes.title}>
              {title}
            </Title>
            {lead && (
              <Text component="div" c="dimmed">
                {lead}
              </Text>
            )}
          </div>
          {actions && <div className={classes.actions}>{actions}</div>}
        </header>
        {children}
      </div>
    </div>
  );
}
