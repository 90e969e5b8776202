import { Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./EmptyState.module.css";

interface Props {
  icon: ReactNode;
  title: string;
  text?: string;
  children?: ReactNode;
}

export function EmptyState({ icon, title, text, children }: Props) {
  return (
    <Stack align="center" gap="xs" className={classes.empty}>
      <span className={classes.icon} aria-hidden="true">
        {icon}
      </span>
      <Text fw={600}>{title}</Text>
      {text && (
        <Text c="dimmed" size="sm" ta="center" maw={420}>
          {text}
        </Text>
      )}
      {children}
    </Stack>
  );
}
