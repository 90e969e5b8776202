import { useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { createSpotlight, Spotlight, type SpotlightActionGroupData } from "@mantine/spotlight";
import {
  IconBooks,
  IconChecks,
  IconKey,
  IconLanguage,
  IconMessage,
  IconPencilPlus,
  IconSearch,
  IconSettings,
  IconSunMoon,
  IconTextScan2,
} from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useConversations } from "@/features/conversations/hooks/useConversations";
import { currentLanguage, setLanguage } from "@/i18n";

const [store, spotlight] = createSpotlight();

export function openPalette(): void {
  spotlight.open();
}

/** Pages, conversations and commands by name, under Ctrl or Command and K. */
export default function Palette() {
  const { t } = useTranslation();
  const actions = useActions();
  return (
    <Spotlight
      store={store}
      actions={actions}
      shortcut={null}
      nothingFound={t("palette.nothing")}
      limit={12}
      scrollable
      maxHeight={420}
      lockScroll={false}
      attributes={{ content: { "aria-label": t("nav.palette") } }}
      searchProps={{
        placeholder: t("palette.placeholder"),
        "aria-label": t("palette.placeholder"),
        leftSection: <IconSearch size={18} />,
      }}
    />
  );
}

function useActions(): SpotlightActionGroupData[] {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const conversations = useConversations();
  const page = (
    to: "/" | "/knowledge-bases" | "/search" | "/approvals" | "/api-keys" | "/settings",
    label: string,
    Icon: typeof IconKey,
  ) => ({
    id: to,
    label,
    leftSection: <Icon size={18} />,
    onClick: () => void navigate({ to }),
  });
  const recent = conversations.data?.pages.flatMap(({ items }) => items) ?? [];
  return [
    {
      group: t("palette.go"),
      actions: [
        page("/", t("nav.newQuestion"), IconPencilPlus),
        page("/knowledge-bases", t("nav.knowledgeBases"), IconBooks),
        page("/search", t("nav.search"), IconTextScan2),
        page("/approvals", t("nav.approvals"), IconChecks),
        page("/api-keys", t("nav.apiKeys"), IconKey),
        page("/settings", t("nav.settings"), IconSettings),
      ],
    },
    {
      group: t("palette.commands"),
      actions: [
        {
          id: "theme",
          label: t("palette.toggleTheme"),
          leftSection: <IconSunMoon size={18} />,
          onClick: () => setColorScheme(scheme === "dark" ? "light" : "dark"),
        },
        {
          id: "language",
          label: t("palette.switchLanguage"),
          leftSection: <IconLanguage size={18} />,
          onClick: () => void setLanguage(currentLanguage() === "en" ? "zh-CN" : "en"),
        },
      ],
    },
    {
      group: t("palette.conversations"),
      actions: recent.map(({ id, title }) => ({
        id,
        label: title || t("chat.untitled"),
        leftSection: <IconMessage size={18} />,
        onClick: () => void navigate({ to: "/chat/$conversationId", params: { conversationId: id } }),
      })),
    },
  ];
}
