import { ActionIcon, Badge, Loader, Menu, Tabs } from "@mantine/core";
import { IconArrowLeft, IconDots, IconMessageCircle, IconPencil, IconTrash } from "@tabler/icons-react";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ProblemError } from "@/api/problem";
import type { KnowledgeBase } from "@/api/types";
import { NotFoundPage } from "@/app/ErrorPage";
import { DocumentTable } from "@/features/documents/components/DocumentTable";
import { GrantList } from "@/features/grants/components/GrantList";
import { ImportList } from "@/features/uploads/components/ImportList";
import { UploadZone } from "@/features/uploads/components/UploadZone";
import { useUploads } from "@/features/uploads/hooks/useUploads";
import { LinkAnchor, LinkButton } from "@/ui/links";
import { PageFrame } from "@/ui/PageFrame";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useKnowledgeBase } from "../hooks/useKnowledgeBases";
import { DeleteKnowledgeBase, EditKnowledgeBase } from "./KnowledgeBaseDialogs";
import classes from "./KnowledgeBasePage.module.css";

export function KnowledgeBasePage() {
  const { t } = useTranslation();
  const { knowledgeBaseId } = useParams({ from: "/shell/knowledge-bases/$knowledgeBaseId" });
  const knowledgeBase = useKnowledgeBase(knowledgeBaseId);
  if (knowledgeBase.data) return <Content key={knowledgeBaseId} knowledgeBase={knowledgeBase.data} />;
  if (knowledgeBase.error instanceof ProblemError && knowledgeBase.error.status === 404)
    return <NotFoundPage />;
  return (
    <PageFrame title={t("kb.title")}>
      {knowledgeBase.error ? (
        <ProblemAlert error={knowledgeBase.error} onRetry={() => void knowledgeBase.refetch()} />
      ) : (
        <Loader />
      )}
    </PageFrame>
  );
}

function Content({ knowledgeBase }: { knowledgeBase: KnowledgeBase }) {
  const { t } = useTranslation();
  const { id, name, description, role } = knowledgeBase;
  const mayEdit = role !== "viewer";
  return (
    <PageFrame
      title={name}
      lead={description}
      above={
        <LinkAnchor to="/knowledge-bases" size="sm" className={classes.back ?? ""}>
          <IconArrowLeft size={15} aria-hidden /> {t("kb.title")}
        </LinkAnchor>
      }
      actions={<Actions knowledgeBase={knowledgeBase} />}
    >
      <Badge variant="default" tt="none" fw={500} radius="sm" mb="md">
        {t("kb.roleYours", { role: t(`kb.role.${role}`) })}
      </Badge>
      {mayEdit ? (
        <Managed knowledgeBase={knowledgeBase} />
      ) : (
        <DocumentTable knowledgeBaseId={id} mayEdit={false} />
      )}
    </PageFrame>
  );
}

/** What an editor sees: the upload zone, documents and imports; an owner also who may read. */
function Managed({ knowledgeBase: { id, role } }: { knowledgeBase: KnowledgeBase }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { tab } = useSearch({ from: "/shell/knowledge-bases/$knowledgeBaseId" });
  const { uploads, add, retry, dismiss } = useUploads(id);
  const show = (next: string | null) =>
    void navigate({ to: ".", search: { tab: next ?? undefined }, replace: true });
  const isOwner = role === "owner";
  const active = tab === "imports" || (tab === "access" && isOwner) ? tab : "documents";
  return (
    <Tabs value={active} onChange={show} keepMounted={false}>
      <Tabs.List mb="lg">
        <Tabs.Tab value="documents">{t("kb.tabs.documents")}</Tabs.Tab>
        <Tabs.Tab value="imports">{t("kb.tabs.imports")}</Tabs.Tab>
        {isOwner && <Tabs.Tab value="access">{t("kb.tabs.access")}</Tabs.Tab>}
      </Tabs.List>
      {active !== "access" && (
        <UploadZone
          onFiles={(files, readers) => {
            add(files, readers);
            show("imports");
          }}
        />
      )}
      <Tabs.Panel value="documents">
        <DocumentTable knowledgeBaseId={id} mayEdit />
      </Tabs.Panel>
      <Tabs.Panel value="imports">
        <ImportList
          knowledgeBaseId={id}
          uploads={uploads}
          mayEdit
          onRetry={(upload) => void retry(upload)}
          onDismiss={dismiss}
        />
      </Tabs.Panel>
      {isOwner && (
        <Tabs.Panel value="access">
          <GrantList knowledgeBaseId={id} />
        </Tabs.Panel>
      )}
    </Tabs>
  );
}

function Actions({ knowledgeBase }: { knowledgeBase: KnowledgeBase }) {
  const { t } = useTranslation();
  const [dialog, setDialog] = useState<"edit" | "delete" | null>(null);
  const close = () => setDialog(null);
  return (
    <>
      <LinkButton
        to="/"
        search={{ kb: knowledgeBase.id }}
        variant="light"
        leftSection={<IconMessageCircle size={17} />}
      >
        {t("kb.askHere")}
      </LinkButton>
      {knowledgeBase.role === "owner" && (
        <Menu position="bottom-end">
          <Menu.Target>
            <ActionIcon variant="default" size={36} aria-label={t("common.actions")} data-testid="kb-actions">
              <IconDots size={18} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item leftSection={<IconPencil size={16} />} onClick={() => setDialog("edit")}>
              {t("kb.edit")}
            </Menu.Item>
            <Menu.Item
              leftSection={<IconTrash size={16} />}
              color="cinnabar"
              onClick={() => setDialog("delete")}
              data-testid="kb-delete"
            >
              {t("kb.delete")}
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      )}
      <EditKnowledgeBase knowledgeBase={knowledgeBase} opened={dialog === "edit"} onClose={close} />
      <DeleteKnowledgeBase knowledgeBase={knowledgeBase} opened={dialog === "delete"} onClose={close} />
    </>
  );
}
