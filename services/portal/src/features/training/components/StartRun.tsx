import { Button, Collapse, Group, Loader, Modal, NativeSelect, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import type { TrainingDataset, TrainingMethod, TrainingRun } from "@/api/types";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useNames } from "../hooks/useNames";
import { useDatasets, useMethods, useRuns, useStartRun } from "../hooks/useTraining";
import { recipeFields, recipeOf, type RecipeField, type Value } from "../lib/recipe-fields";
import { RecipeInput } from "./RecipeInput";

/** What somebody decides about every run; the rest stands below, with what the method itself would take. */
const FIRST = new Set(["name", "epochs", "learning_rate", "rank", "virtual_tokens", "width", "reward"]);

/** Asks what to train, how, and on what. */
export function StartRun({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      size="lg"
      title={t("training.start")}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      <Choices onClose={onClose} />
    </Modal>
  );
}

function Choices({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const methods = useMethods();
  const datasets = useDatasets();
  const runs = useRuns();
  const error = methods.error ?? datasets.error ?? runs.error;
  if (error) return <ProblemAlert error={error} />;
  if (!methods.data || !datasets.data || !runs.data) return <Loader />;
  const items = datasets.data.pages.flatMap((page) => page.items);
  if (items.length === 0) return <Text>{t("training.noDatasetsText")}</Text>;
  const done = runs.data.pages.flatMap((page) => page.items).filter(({ state }) => state === "done");
  return <Form methods={methods.data} datasets={items} done={done} onClose={onClose} />;
}

interface FormProps {
  methods: TrainingMethod[];
  datasets: TrainingDataset[];
  /** Runs with a result, which another may learn from. */
  done: TrainingRun[];
  onClose: () => void;
}

function Form({ methods, datasets, done, onClose }: FormProps) {
  const { t } = useTranslation();
  const named = useNames();
  const navigate = useNavigate();
  const start = useStartRun();
  const [wanted, setWanted] = useState(methods[0]?.method ?? "");
  const [datasetId, setDatasetId] = useState(datasets[0]?.id ?? "");
  const [fromRun, setFromRun] = useState("");
  const [values, setValues] = useState<Record<string, Value>>({});
  const [isMoreShown, more] = useDisclosure();
  const method = methods.find((each) => each.method === wanted);
  if (!method) return null;
  const fields = recipeFields(method);
  const teachers = done.filter((run) => method.learns_from.includes(run.method));
  const isComplete =
    fields.every(({ name, isRequired }) => !isRequired || Boolean(values[name])) &&
    (method.learns_from.length === 0 || fromRun !== "");
  const send = (event: FormEvent) => {
    event.preventDefault();
    const body = { dataset_id: datasetId, recipe: recipeOf(method, values), from_run: fromRun || null };
    start.mutate(body, {
      onSuccess: ({ id }) => void navigate({ to: "/training/runs/$runId", params: { runId: id } }),
    });
  };
  const inputs = (shown: RecipeField[]) =>
    shown.map((field) => (
      <RecipeInput
        key={`${wanted}.${field.name}`}
        field={field}
        value={values[field.name] ?? field.standard}
        onChange={(value) => setValues((before) => ({ ...before, [field.name]: value }))}
      />
    ));
  return (
    <form onSubmit={send}>
      <Stack>
        <NativeSelect
          label={t("training.dataset")}
          data={datasets.map(({ id, name, examples }) => ({
            value: id,
            label: `${name} (${t("training.examples", { count: examples })})`,
          }))}
          value={datasetId}
          onChange={(event) => setDatasetId(event.currentTarget.value)}
          data-testid="run-dataset"
        />
        <NativeSelect
          label={t("training.how")}
          description={named("methodHelp", wanted)}
          data={methods.map((each) => ({
            value: each.method,
            label: named("method", each.method),
          }))}
          value={wanted}
          onChange={(event) => {
            setWanted(event.currentTarget.value);
            setFromRun("");
          }}
          data-testid="run-method"
        />
        {method.learns_from.length > 0 && (
          <NativeSelect
            label={t("training.fromRun")}
            description={teachers.length === 0 ? t("training.noTeacher") : undefined}
            required
            data={[
              { value: "", label: "—" },
              ...teachers.map(({ id, name, method: taught }) => ({
                value: id,
                label: `${name} (${taught})`,
              })),
            ]}
            value={fromRun}
            onChange={(event) => setFromRun(event.currentTarget.value)}
          />
        )}
        {inputs(fields.filter(({ name }) => FIRST.has(name)))}
        <div>
          <Button variant="subtle" size="compact-sm" aria-expanded={isMoreShown} onClick={more.toggle}>
            {t("training.more")}
          </Button>
        </div>
        <Collapse expanded={isMoreShown}>
          <Stack>{inputs(fields.filter(({ name }) => !FIRST.has(name)))}</Stack>
        </Collapse>
        <Text size="sm" c="dimmed">
          {method.served_on.length > 0
            ? t("training.servedOn", { where: method.served_on.join(", ") })
            : t("training.servedNowhere")}
        </Text>
        {start.error ? <ProblemAlert error={start.error} /> : null}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {t("common.cancel")}
          </Button>
          <Button type="submit" disabled={!isComplete} loading={start.isPending} data-testid="run-submit">
            {t("training.queue")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
