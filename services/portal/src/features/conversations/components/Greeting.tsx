import { Text, Title, UnstyledButton } from "@mantine/core";
import { IconArrowUpRight } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { useSession } from "@/features/session/hooks/useSession";
import { languageOf } from "@/features/answers/lib/answer-text";
import { Seal } from "@/ui/Seal";
import classes from "./Greeting.module.css";

const EXAMPLES = ["first", "second", "third", "fourth"] as const;

/** What an empty conversation shows: a welcome, and questions to begin with. */
export function Greeting({ onPick }: { onPick: (question: string) => void }) {
  const { t } = useTranslation();
  const { data: session } = useSession();
  return (
    <div className={classes.scroll}>
      <div className={classes.greeting}>
        <Seal size={46} />
        <Title order={1} className={classes.title}>
          {session?.name ? t("chat.greetingNamed", { name: session.name }) : t("chat.greeting")}
        </Title>
        <Text c="dimmed">{t("chat.lead")}</Text>
        <Text component="h2" className={classes.heading}>
          {t("chat.examples")}
        </Text>
        <ul className={classes.examples}>
          {EXAMPLES.map((key) => {
            const question = t(`chat.example.${key}`);
            return (
              <li key={key}>
                <UnstyledButton
                  className={classes.example}
                  lang={languageOf(question)}
                  onClick={() => onPick(question)}
                  data-testid="example-question"
                >
                  <span>{question}</span>
                  <IconArrowUpRight size={16} aria-hidden />
                </UnstyledButton>
              </li>
            );
          })}
        </ul>
      </div>
    </div>
  );
}
