import { Badge, Button, SimpleGrid, Skeleton, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconBooks, IconPlus } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { KnowledgeBase } from "@/api/types";
import { EmptyState } from "@/ui/EmptyState";
import { PageFrame } from "@/ui/PageFrame";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useMay } from "@/features/session/hooks/useSession";
import { useKnowledgeBases } from "../hooks/useKnowledgeBases";
import { CreateKnowledgeBase } from "./KnowledgeBaseDialogs";
import classes from "./KnowledgeBasesPage.module.css";

export function KnowledgeBasesPage() {
  const { t } = useTranslation();
  const list = useKnowledgeBases();
  const [isCreating, creating] = useDisclosure();
  const mayCreate = useMay("knowledge_base:create");
  const create = mayCreate && (
    <Button leftSection={<IconPlus size={17} />} onClick={creating.open} data-testid="kb-new">
      {t("kb.new")}
    </Button>
  );
  return (
    <PageFrame title={t("kb.title")} lead={t("kb.lead")} actions={create}>
      {list.error && <ProblemAlert error={list.error} onRetry={() => void list.refetch()} />}
      {list.isPending && (
        <SimpleGrid cols={2}>
          <Skeleton h={130} radius="lg" />
          <Skeleton h={130} radius="lg" />
        </SimpleGrid>
      )}
      {list.data?.length === 0 && (
        <EmptyState icon={<IconBooks size={24} />} title={t("kb.empty")} text={t("kb.emptyText")} />
      )}
      <ul className={classes.grid}>
        {list.data?.map((knowledgeBase) => (
          <Item key={knowledgeBase.id} knowledgeBase={knowledgeBase} />
        ))}
      </ul>
      <CreateKnowledgeBase opened={isCreating} onClose={creating.close} />
    </PageFrame>
  );
}

function Item({ knowledgeBase }: { knowledgeBase: KnowledgeBase }) {
  const { t } = useTranslation();
  const { id, name, description, documents, role, language } = knowledgeBase;
  return (
    <li className={classes.card} data-testid="kb-item" data-name={name}>
      <h2 className={classes.name}>
        <Link
          to="/knowledge-bases/$knowledgeBaseId"
          params={{ knowledgeBaseId: id }}
          className={classes.link}
        >
          {name}
        </Link>
      </h2>
      <Text size="sm" c="dimmed" lineClamp={2} className={classes.description}>
        {description}
      </Text>
      <div className={classes.facts}>
        <span>{t("kb.documents", { count: documents })}</span>
        <span>{t(`kb.languages.${language}`)}</span>
        <Badge variant="default" tt="none" fw={500} radius="sm" className={classes.role ?? ""}>
          {t(`kb.role.${role}`)}
        </Badge>
      </div>
    </li>
  );
}
