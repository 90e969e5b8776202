import { Button, Progress, Text } from "@mantine/core";
import { IconUpload } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { useFormat } from "@/i18n/format";
import { useProblemText } from "@/ui/useProblemText";
import type { Upload } from "../lib/upload-store";
import classes from "./VersionRow.module.css";

interface Props {
  upload: Upload;
  onRetry: () => void;
  onDismiss: () => void;
}

/** A file that the server does not hold yet. */
export function UploadRow({ upload, onRetry, onDismiss }: Props) {
  const { t } = useTranslation();
  const format = useFormat();
  const problemText = useProblemText();
  const { file, percent, problem } = upload;
  const said = problem && problemText(problem);
  return (
    <li className={classes.row} data-testid="upload-row" data-state={problem ? "refused" : "sending"}>
      <IconUpload size={20} className={classes.icon} aria-hidden />
      <div className={classes.body}>
        <div className={classes.line}>
          <span className={classes.title}>{file.name}</span>
          <Text span size="xs" c="dimmed">
            {format.bytes(file.size)}
          </Text>
        </div>
        {said ? (
          <div className={classes.reason} role="alert">
            <Text size="sm" fw={500}>
              {t("upload.refused")}: {said.detail}
            </Text>
            <Text size="sm">{said.remedy}</Text>
            <Text size="xs" c="dimmed" ff="monospace">
              {problem.code}
            </Text>
          </div>
        ) : (
          <>
            <Text size="xs" c="dimmed">
              {t("upload.sending", { percent })}
            </Text>
            <Progress
              value={percent}
              size="sm"
              mt={4}
              aria-label={t("upload.progressOf", { title: file.name })}
            />
          </>
        )}
      </div>
      {problem && (
        <div className={classes.actions}>
          <Button
            size="compact-sm"
            variant="default"
            onClick={onRetry}
            aria-label={t("upload.retryOf", { title: file.name })}
          >
            {t("upload.retry")}
          </Button>
          <Button
            size="compact-sm"
            variant="subtle"
            color="gray"
            onClick={onDismiss}
            aria-label={t("upload.dismissOf", { title: file.name })}
          >
            {t("upload.dismiss")}
          </Button>
        </div>
      )}
    </li>
  );
}
