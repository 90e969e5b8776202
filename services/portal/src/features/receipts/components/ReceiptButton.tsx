import { ActionIcon, Tooltip } from "@mantine/core";
import { IconReceipt } from "@tabler/icons-react";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";

const ReceiptModal = lazy(() => import("./ReceiptModal"));

/** Opens the receipt of an answer. */
export function ReceiptButton({ answerId }: { answerId: string }) {
  const { t } = useTranslation();
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Tooltip label={t("receipt.open")}>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="md"
          aria-label={t("receipt.open")}
          onClick={() => setOpen(true)}
          data-testid="receipt-button"
        >
          <IconReceipt size={16} />
        </ActionIcon>
      </Tooltip>
      {isOpen && (
        <Suspense fallback={null}>
          <ReceiptModal answerId={answerId} onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}
