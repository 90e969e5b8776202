import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { copyToClipboard } from "./copy-to-clipboard";

interface Props {
  text: () => string;
  label: string;
  withText?: boolean;
}

/** Copies when pressed, and says so for two seconds. */
export function CopyButton({ text, label, withText = false }: Props) {
  const { t } = useTranslation();
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return undefined;
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [isCopied]);
  const copy = () => void copyToClipboard(text()).then(() => setCopied(true));
  const icon = isCopied ? <IconCheck size={16} /> : <IconCopy size={16} />;
  if (withText) {
    return (
      <Button variant="default" leftSection={icon} onClick={copy}>
        {isCopied ? t("common.copied") : label}
      </Button>
    );
  }
  return (
    <Tooltip label={isCopied ? t("common.copied") : label}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="md"
        aria-label={isCopied ? t("common.copied") : label}
        onClick={copy}
      >
        {icon}
      </ActionIcon>
    </Tooltip>
  );
}
