import { Button, Container, Stack, Text, Title } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { LinkButton } from "@/ui/links";
import { Seal } from "@/ui/Seal";

/** What an address shows that leads nowhere, or to what the reader may not see. */
export function NotFoundPage() {
  const { t } = useTranslation();
  return (
    <Container size="xs" py={80}>
      <Stack align="center" gap="sm">
        <Seal size={44} />
        <Title order={1} size="h2" ta="center">
          {t("error.notFoundTitle")}
        </Title>
        <Text c="dimmed" ta="center">
          {t("error.notFoundText")}
        </Text>
        <LinkButton to="/" mt="sm">
          {t("error.home")}
        </LinkButton>
      </Stack>
    </Container>
  );
}

/** What is left when a page's code fails: a sentence, and a way out. */
export function CrashPage() {
  const { t } = useTranslation();
  return (
    <Container size="xs" py={80}>
      <Stack align="center" gap="sm" role="alert">
        <Seal size={44} />
        <Title order={1} size="h2" ta="center">
          {t("error.title")}
        </Title>
        <Text c="dimmed" ta="center">
          {t("error.crash")}
        </Text>
        <Button mt="sm" onClick={() => window.location.reload()}>
          {t("error.reload")}
        </Button>
      </Stack>
    </Container>
  );
}

/** The same for an address that belongs to no page at all. */
export function LostPage() {
  return (
    <main>
      <NotFoundPage />
    </main>
  );
}
