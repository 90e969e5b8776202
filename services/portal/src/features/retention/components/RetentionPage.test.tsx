import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test, vi } from "vitest";
import type { RetentionRule } from "@/api/types";
import { show } from "@/test/render";
import { RetentionPage } from "./RetentionPage";

const RULE: RetentionRule = {
  kind: "conversations",
  days: 90,
  changed_by: "chen",
  changed_at: "2026-11-23T09:00:00Z",
  approval_id: "apr_1",
};

function serve(rules: RetentionRule[], permissions: string[]) {
  const put: unknown[] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname, searchParams } = new URL(request.url);
    if (request.method === "PUT") {
      put.push([pathname, await request.json()]);
      return Response.json({ id: "apr_2" }, { status: 202 });
    }
    if (pathname.endsWith("/due")) return Response.json({ due: Number(searchParams.get("days")) });
    if (pathname.endsWith("/retention-rules")) return Response.json(rules);
    return Response.json({ sub: "chen", permissions });
  });
  return put;
}

test("without a rule things are kept for ever, and who may only read is offered no change", async () => {
  serve([], ["retention_rule:read"]);
  await show(<RetentionPage />);
  expect(await screen.findByText("Kept for ever")).toBeVisible();
  expect(screen.queryByTestId("retention-change")).toBeNull();
});

test("a change is asked for with its reason, once what goes was said", async () => {
  const put = serve([RULE], ["retention_rule:read", "retention_rule:change"]);
  await show(<RetentionPage />);
  await userEvent.click(await screen.findByTestId("retention-change"));
  const days = await screen.findByTestId("retention-days");
  expect(days).toHaveValue("90");
  await userEvent.clear(days);
  await userEvent.type(days, "30");
  expect(await screen.findByText("30 conversations would be deleted at once.")).toBeVisible();
  expect(screen.getByTestId("retention-submit")).toBeDisabled();
  await userEvent.type(screen.getByTestId("retention-reason"), "A month is enough");
  await userEvent.click(screen.getByTestId("retention-submit"));
  expect(put).toEqual([["/api/v1/retention-rules/conversations", { days: 30, reason: "A month is enough" }]]);
});

test("for ever deletes nothing, and what holds already cannot be asked for", async () => {
  const put = serve([RULE], ["retention_rule:read", "retention_rule:change"]);
  await show(<RetentionPage />);
  await userEvent.click(await screen.findByTestId("retention-change"));
  await userEvent.type(await screen.findByTestId("retention-reason"), "A court asked for it");
  expect(screen.getByTestId("retention-submit")).toBeDisabled();
  await userEvent.click(screen.getByTestId("retention-for-ever"));
  expect(screen.getByText("Nothing would be deleted.")).toBeVisible();
  await userEvent.click(screen.getByTestId("retention-submit"));
  expect(put).toEqual([
    ["/api/v1/retention-rules/conversations", { days: null, reason: "A court asked for it" }],
  ]);
});
