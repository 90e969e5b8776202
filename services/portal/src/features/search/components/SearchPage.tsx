import { Button, Group, Loader, SegmentedControl, Text, TextInput } from "@mantine/core";
import { IconSearch, IconSearchOff } from "@tabler/icons-react";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import type { SearchMode } from "@/api/types";
import { ScopePicker } from "@/features/conversations/components/ScopePicker";
import { useFormat } from "@/i18n/format";
import { EmptyState } from "@/ui/EmptyState";
import { PageFrame } from "@/ui/PageFrame";
import { ProblemAlert } from "@/ui/ProblemAlert";
import { useSearchPassages } from "../hooks/useSearchPassages";
import classes from "./SearchPage.module.css";
import { SearchHit } from "./SearchHit";

const MODES: SearchMode[] = ["hybrid", "dense", "bm25"];

/** Passages for a query with their scores, without an answer; the query stands in the address. */
export function SearchPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { q = "", mode } = useSearch({ from: "/shell/search" });
  const [text, setText] = useState(q);
  const [scope, setScope] = useState<string[]>([]);
  const by = MODES.find((known) => known === mode) ?? "hybrid";
  const go = (next: { q: string; mode: SearchMode }) => void navigate({ to: "/search", search: next });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    go({ q: text.trim(), mode: by });
  };
  return (
    <PageFrame title={t("search.title")} lead={t("search.lead")}>
      <form onSubmit={submit} role="search">
        <div className={classes.line}>
          <TextInput
            className={classes.field ?? ""}
            size="md"
            type="search"
            aria-label={t("search.label")}
            placeholder={t("search.placeholder")}
            leftSection={<IconSearch size={18} />}
            maxLength={4000}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            data-testid="search-input"
          />
          <Button type="submit" size="md" disabled={!text.trim()} data-testid="search-submit">
            {t("search.submit")}
          </Button>
        </div>
        <Group mt="sm" gap="sm" ml={8}>
          <ScopePicker value={scope} onChange={setScope} />
          <SegmentedControl
            size="xs"
            aria-label={t("search.mode.label")}
            value={by}
            onChange={(value) => go({ q, mode: value as SearchMode })}
            data={MODES.map((value) => ({ value, label: t(`search.mode.${value}`) }))}
          />
        </Group>
      </form>
      {q && <Results query={q} mode={by} scope={scope} />}
    </PageFrame>
  );
}

function Results({ query, mode, scope }: { query: string; mode: SearchMode; scope: string[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const result = useSearchPassages(query, mode, scope);
  if (result.error) return <ProblemAlert error={result.error} onRetry={() => void result.refetch()} />;
  if (!result.data) return <Loader mt="xl" />;
  const { passages, searched, timings_ms } = result.data;
  if (passages.length === 0) {
    const text = t("search.noneText", { searched: format.list(searched) });
    return <EmptyState icon={<IconSearchOff size={24} />} title={t("search.none")} text={text} />;
  }
  const ms = Math.round(timings_ms["total"] ?? Object.values(timings_ms).reduce((a, b) => a + b, 0));
  return (
    <section aria-label={t("search.title")}>
      <Text size="sm" c="dimmed" mt="lg" mb="xs" role="status">
        {t("search.found", { count: passages.length, ms })}
      </Text>
      <ol className={classes.results}>
        {passages.map((found) => (
          <SearchHit key={found.passage.id} found={found} query={query} />
        ))}
      </ol>
    </section>
  );
}
