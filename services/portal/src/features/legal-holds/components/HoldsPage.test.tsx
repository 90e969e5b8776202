import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";
import type { Hold } from "@/api/types";
import { show } from "@/test/render";
import { HoldsPage } from "./HoldsPage";

const REASON = "A court asked for it";

function hold(given: Partial<Hold> = {}): Hold {
  return {
    id: "hld_1",
    held: { scope: "user", id: "lin" },
    matter: "Case 2026-17",
    reason: REASON,
    placed_by: "chen",
    placed_by_name: "陈静",
    placed_at: "2026-11-23T09:00:00Z",
    released_by: null,
    released_at: null,
    approval_id: null,
    ...given,
  };
}

/** Answers as the server would; what was posted is in the list. */
function serve(holds: Hold[], permissions: string[]) {
  const posted: [string, unknown][] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "POST") {
      posted.push([pathname, await request.json()]);
      return Response.json(pathname.endsWith("/release") ? { id: "apr_1" } : hold());
    }
    if (pathname === "/api/v1/legal-holds") return Response.json({ items: holds, next_cursor: null });
    return Response.json({ sub: "chen", permissions });
  });
  return posted;
}

afterEach(() => vi.unstubAllGlobals());

test("who may only read is offered nothing to do", async () => {
  serve([hold()], ["legal_hold:read"]);
  await show(<HoldsPage />);
  expect(await screen.findByText("Case 2026-17")).toBeVisible();
  expect(screen.getByText("lin")).toBeVisible();
  expect(screen.queryByTestId("hold-new")).toBeNull();
  expect(screen.queryByTestId("hold-lift")).toBeNull();
});

test("a hold is placed on what was named, once all is said", async () => {
  const posted = serve([], ["legal_hold:read", "legal_hold:place"]);
  await show(<HoldsPage />);
  await userEvent.click(await screen.findByTestId("hold-new"));
  await userEvent.selectOptions(await screen.findByTestId("hold-scope"), "document");
  await userEvent.type(screen.getByTestId("hold-id"), " doc_1 ");
  await userEvent.type(screen.getByTestId("hold-matter"), "Case 2026-17");
  expect(screen.getByTestId("hold-submit")).toBeDisabled();
  await userEvent.type(screen.getByTestId("hold-reason"), REASON);
  await userEvent.click(screen.getByTestId("hold-submit"));
  const new_hold = { held: { scope: "document", id: "doc_1" }, matter: "Case 2026-17", reason: REASON };
  expect(posted).toEqual([["/api/v1/legal-holds", new_hold]]);
});

test("a hold in force can be asked to be lifted, a lifted one not", async () => {
  const ended = hold({
    id: "hld_2",
    matter: "Case 2025-3",
    released_by: "chen",
    released_at: "2026-11-23T10:00:00Z",
  });
  const posted = serve([hold(), ended], ["legal_hold:read", "legal_hold:place"]);
  await show(<HoldsPage />);
  const [first, second] = await screen.findAllByTestId("hold-item");
  expect(within(second!).queryByTestId("hold-lift")).toBeNull();
  await userEvent.click(await within(first!).findByTestId("hold-lift"));
  await userEvent.type(await screen.findByTestId("reason"), "The case was settled");
  await userEvent.click(screen.getByTestId("reason-submit"));
  expect(posted).toEqual([["/api/v1/legal-holds/hld_1/release", { reason: "The case was settled" }]]);
});
