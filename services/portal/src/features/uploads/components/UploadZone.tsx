import { Button, FileButton, SegmentedControl, Stack, TagsInput, Text } from "@mantine/core";
import { IconCloudUpload } from "@tabler/icons-react";
import { type DragEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { isReader } from "../lib/readers";
import classes from "./UploadZone.module.css";

const ACCEPT = ".pdf,.docx,.pptx,.xlsx,.csv,.html,.htm,.md,.markdown,.txt,.eml";

/** Where documents are dropped or chosen, and who may read them. */
export function UploadZone({ onFiles }: { onFiles: (files: File[], readers: string[] | null) => void }) {
  const { t } = useTranslation();
  const [isOver, setOver] = useState(false);
  const [readers, setReaders] = useState<string[] | null>(null);
  const canSend = readers === null || readers.length > 0;
  const [isRefused, setRefused] = useState(false);
  const take = (files: File[]) => {
    if (files.length === 0) return;
    setRefused(!canSend);
    if (canSend) onFiles(files, readers);
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take([...event.dataTransfer.files]);
  };
  return (
    // Dropping is a short cut; the button inside does the same by keyboard.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <section
      className={classes.zone}
      data-over={isOver || undefined}
      aria-label={t("upload.title")}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={onDrop}
    >
      <div className={classes.drop}>
        <IconCloudUpload size={30} className={classes.icon} aria-hidden />
        <div className={classes.words}>
          <Text>
            {isOver ? t("upload.dropNow") : t("upload.drop")}{" "}
            <FileButton
              multiple
              accept={ACCEPT}
              onChange={take}
              disabled={!canSend}
              inputProps={{ "data-testid": "upload-input", "aria-label": t("upload.choose") } as object}
            >
              {(props) => (
                <Button {...props} size="compact-sm" variant="light" disabled={!canSend}>
                  {t("upload.choose")}
                </Button>
              )}
            </FileButton>
          </Text>
          <Text size="xs" c="dimmed">
            {t("upload.formats")}
          </Text>
        </div>
      </div>
      <Readers value={readers} onChange={setReaders} />
      {isRefused && !canSend && (
        <Text size="sm" c="var(--mantine-color-error)" role="alert">
          {t("upload.readersMissing")}
        </Text>
      )}
    </section>
  );
}

interface ReadersProps {
  value: string[] | null;
  onChange: (readers: string[] | null) => void;
}

function Readers({ value, onChange }: ReadersProps) {
  const { t } = useTranslation();
  const [refused, setRefused] = useState<string | null>(null);
  const change = (tokens: string[]) => {
    setRefused(tokens.find((token) => !isReader(token)) ?? null);
    onChange(tokens.filter(isReader));
  };
  return (
    <Stack gap="xs" className={classes.readers}>
      <Text size="sm" fw={500} id="upload-readers">
        {t("upload.readers")}
      </Text>
      <SegmentedControl
        aria-labelledby="upload-readers"
        orientation="horizontal"
        size="xs"
        value={value === null ? "all" : "some"}
        onChange={(choice) => onChange(choice === "all" ? null : [])}
        data={[
          { value: "all", label: t("upload.readersAll") },
          { value: "some", label: t("upload.readersSome") },
        ]}
        classNames={{ root: classes.choice ?? "", label: classes.choiceLabel ?? "" }}
      />
      {value !== null && (
        <TagsInput
          label={t("upload.readersLabel")}
          description={t("upload.readersHint")}
          placeholder={t("upload.readersPlaceholder")}
          error={refused && t("upload.readersInvalid", { value: refused })}
          value={value}
          onChange={change}
          acceptValueOnBlur
          data-testid="upload-readers"
        />
      )}
    </Stack>
  );
}
