import { Badge, Button, Switch, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconGavel, IconPlus } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Hold } from "@/api/types";
import { useMay } from "@/features/session/hooks/useSession";
import { useFormat } from "@/i18n/format";
import { EmptyState } from "@/ui/EmptyState";
import { PagedList } from "@/ui/PagedList";
import { PageFrame } from "@/ui/PageFrame";
import { ReasonModal } from "@/ui/ReasonModal";
import classes from "@/ui/RowList.module.css";
import { useAskToLift, useHolds } from "../hooks/useHolds";
import { PlaceHold } from "./PlaceHold";

/** What must be kept, and for what matter; reviewers place holds and ask to have them lifted. */
export function HoldsPage() {
  const { t } = useTranslation();
  const mayPlace = useMay("legal_hold:place");
  const [isPlacing, placing] = useDisclosure();
  const [withReleased, setWithReleased] = useState(false);
  return (
    <PageFrame
      title={t("holds.title")}
      lead={t("holds.lead")}
      actions={
        mayPlace && (
          <Button leftSection={<IconPlus size={17} />} onClick={placing.open} data-testid="hold-new">
            {t("holds.new")}
          </Button>
        )
      }
    >
      <Switch
        mb="md"
        label={t("holds.withReleased")}
        checked={withReleased}
        onChange={(event) => setWithReleased(event.currentTarget.checked)}
      />
      <HoldList withReleased={withReleased} mayPlace={mayPlace} />
      <PlaceHold opened={isPlacing} onClose={placing.close} />
    </PageFrame>
  );
}

function HoldList({ withReleased, mayPlace }: { withReleased: boolean; mayPlace: boolean }) {
  const { t } = useTranslation();
  return (
    <PagedList
      list={useHolds(withReleased)}
      renderRow={(hold) => <Row key={hold.id} hold={hold} mayLift={mayPlace && hold.released_at === null} />}
      empty={
        <EmptyState icon={<IconGavel size={24} />} title={t("holds.empty")} text={t("holds.emptyText")} />
      }
    />
  );
}

function Row({ hold, mayLift }: { hold: Hold; mayLift: boolean }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { held, matter, reason, placed_by, placed_by_name, placed_at, released_by, released_at } = hold;
  return (
    <li className={classes.row} data-testid="hold-item" data-matter={matter}>
      <div className={classes.body}>
        <h2 className={classes.name}>{matter}</h2>
        <Text size="sm" style={{ overflowWrap: "anywhere" }}>
          {t(`holds.scope.${held.scope}`)} <code>{held.id}</code>
        </Text>
        <Text size="sm" style={{ overflowWrap: "anywhere" }}>
          {reason}
        </Text>
        <Text size="sm" c="dimmed">
          {t("holds.placed", { name: placed_by_name || placed_by, when: format.dateTime(placed_at) })}
          {released_at !== null &&
            ` · ${t("holds.lifted", { name: released_by ?? "", when: format.dateTime(released_at) })}`}
        </Text>
      </div>
      <div className={classes.facts}>
        <Badge color={released_at === null ? "pine" : "gray"} variant="light" tt="none" radius="sm">
          {t(released_at === null ? "holds.inForce" : "holds.ended")}
        </Badge>
        {mayLift && <Lift hold={hold} />}
      </div>
    </li>
  );
}

/** Asks two others, then goes to where their answer will stand. */
function Lift({ hold }: { hold: Hold }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [isAsking, asking] = useDisclosure();
  const ask = useAskToLift(hold.id);
  return (
    <>
      <Button
        size="compact-sm"
        variant="default"
        aria-label={t("holds.liftOf", { matter: hold.matter })}
        onClick={asking.open}
        data-testid="hold-lift"
      >
        {t("holds.lift")}
      </Button>
      <ReasonModal
        opened={isAsking}
        title={t("holds.liftTitle")}
        text={t("holds.liftText")}
        submit={t("holds.ask")}
        draft={`lift.${hold.id}`}
        pending={ask.isPending}
        error={ask.error}
        onSubmit={(reason, onDone) =>
          ask.mutate(reason, {
            onSuccess: ({ id }) => {
              onDone();
              void navigate({ to: "/approvals/$approvalId", params: { approvalId: id } });
            },
          })
        }
        onClose={asking.close}
      />
    </>
  );
}
