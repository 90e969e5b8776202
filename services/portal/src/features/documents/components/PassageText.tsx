import { Badge, Group, Text } from "@mantine/core";
import { type Ref } from "react";
import { useTranslation } from "react-i18next";
import type { Passage } from "@/api/types";
import type { Piece } from "../lib/highlight";
import { Marked } from "./Marked";
import classes from "./PassageText.module.css";

interface Props {
  ref?: Ref<HTMLElement>;
  passage: Passage;
  pieces?: Piece[];
  isCurrent?: boolean;
}

/** One passage as text, under its headings. */
export function PassageText({ ref, passage, pieces, isCurrent = false }: Props) {
  const { t } = useTranslation();
  return (
    <article
      ref={ref}
      className={classes.passage}
      data-current={isCurrent || undefined}
      data-testid="passage"
    >
      <Group gap="xs" mb={4}>
        <Text size="xs" c="dimmed">
          {[t("doc.ordinal", { n: passage.ordinal + 1 }), ...passage.heading_path].join(" › ")}
        </Text>
        {passage.kind === "table" && (
          <Badge size="sm" variant="default" tt="none">
            {t("doc.table")}
          </Badge>
        )}
      </Group>
      <div
        className={passage.kind === "table" ? classes.table : classes.text}
        lang={passage.language === "zh" ? "zh-CN" : passage.language === "en" ? "en" : undefined}
      >
        {pieces ? <Marked pieces={pieces} /> : passage.text}
      </div>
    </article>
  );
}
