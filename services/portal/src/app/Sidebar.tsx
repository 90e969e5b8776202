import { ActionIcon, UnstyledButton } from "@mantine/core";
import {
  IconBooks,
  IconChartDots,
  IconChecks,
  IconEyeCheck,
  IconGavel,
  IconHourglass,
  IconKey,
  IconPencilPlus,
  IconSearch,
  IconTextScan2,
  IconX,
} from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { WaitingCount } from "@/features/approvals/components/WaitingCount";
import { ConversationList } from "@/features/conversations/components/ConversationList";
import { useMay } from "@/features/session/hooks/useSession";
import { AccountMenu } from "@/features/session/components/AccountMenu";
import { LinkButton } from "@/ui/links";
import { Seal } from "@/ui/Seal";
import classes from "./Sidebar.module.css";

interface Props {
  onPalette: () => void;
  onClose?: () => void;
}

export function Sidebar({ onPalette, onClose }: Props) {
  const { t } = useTranslation();
  const mayReview = useMay("review:decide");
  const maySeeRetention = useMay("retention_rule:read");
  const mayTrain = useMay("training:manage");
  const maySeeHolds = useMay("legal_hold:read");
  return (
    <div className={classes.sidebar}>
      <nav aria-label={t("nav.main")} className={classes.nav}>
        <div className={classes.top}>
          <Link to="/" className={classes.brand}>
            <Seal />
            <span lang="zh-CN">知库</span>
            <span className={classes.latin}>Zhiku</span>
          </Link>
          {onClose && (
            <ActionIcon
              variant="subtle"
              color="gray"
              size="lg"
              aria-label={t("nav.closeMenu")}
              onClick={onClose}
            >
              <IconX size={18} />
            </ActionIcon>
          )}
        </div>

        <LinkButton
          to="/"
          leftSection={<IconPencilPlus size={17} />}
          justify="flex-start"
          data-testid="new-question"
          onClick={() => onClose?.()}
        >
          {t("nav.newQuestion")}
        </LinkButton>
        <UnstyledButton className={classes.palette} onClick={onPalette}>
          <IconSearch size={16} />
          <span className={classes.paletteLabel}>{t("nav.palette")}</span>
          <kbd className={classes.key}>Ctrl K</kbd>
        </UnstyledButton>
        <Link to="/knowledge-bases" className={classes.link} data-testid="nav-knowledge-bases">
          <IconBooks size={18} />
          {t("nav.knowledgeBases")}
        </Link>
        <Link to="/search" className={classes.link} data-testid="nav-search">
          <IconTextScan2 size={18} />
          {t("nav.search")}
        </Link>
        <Link to="/approvals" className={classes.link} data-testid="nav-approvals">
          <IconChecks size={18} />
          {t("nav.approvals")}
          <WaitingCount />
        </Link>
        {mayReview && (
          <Link to="/reviews" className={classes.link} data-testid="nav-reviews">
            <IconEyeCheck size={18} />
            {t("nav.reviews")}
          </Link>
        )}
        {maySeeHolds && (
          <Link to="/legal-holds" className={classes.link} data-testid="nav-legal-holds">
            <IconGavel size={18} />
            {t("nav.holds")}
          </Link>
        )}
        {maySeeRetention && (
          <Link to="/retention" className={classes.link} data-testid="nav-retention">
            <IconHourglass size={18} />
            {t("nav.retention")}
          </Link>
        )}
        {mayTrain && (
          <Link to="/training" className={classes.link} data-testid="nav-training">
            <IconChartDots size={18} />
            {t("nav.training")}
          </Link>
        )}
        <Link to="/api-keys" className={classes.link} data-testid="nav-api-keys">
          <IconKey size={18} />
          {t("nav.apiKeys")}
        </Link>
      </nav>
      <ConversationList />
      <AccountMenu />
    </div>
  );
}
