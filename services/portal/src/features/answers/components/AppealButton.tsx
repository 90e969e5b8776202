import { Button, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, unwrap } from "@/api/client";
import { ReasonModal } from "@/ui/ReasonModal";

/** Puts what policy withheld before a person. */
export default function AppealButton({ answerId }: { answerId: string }) {
  const { t } = useTranslation();
  const [isOpen, setOpen] = useState(false);
  const appeal = useMutation({
    mutationFn: (reason: string) =>
      unwrap(
        api.POST("/api/v1/answers/{answer_id}/appeal", {
          params: { path: { answer_id: answerId } },
          body: { reason },
        }),
      ),
    onSuccess: () => setOpen(false),
  });
  if (appeal.isSuccess)
    return (
      <Text size="sm" role="status" data-testid="appealed">
        {t("answer.appealed")}
      </Text>
    );
  return (
    <>
      <Button size="compact-sm" variant="default" mt="xs" onClick={() => setOpen(true)} data-testid="appeal">
        {t("answer.appeal")}
      </Button>
      {isOpen && (
        <ReasonModal
          opened
          title={t("answer.appeal")}
          text={t("answer.appealText")}
          submit={t("answer.appealSend")}
          help={t("common.reasonHelp")}
          draft={`appeal.${answerId}`}
          pending={appeal.isPending}
          error={appeal.error}
          onSubmit={(reason) => appeal.mutate(reason)}
          onClose={() => setOpen(false)}
        />
      )}
    </>
  );
}
