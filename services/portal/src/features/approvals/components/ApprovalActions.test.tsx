import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";
import type { Approval } from "@/api/types";
import { show } from "@/test/render";
import { ApprovalActions } from "./ApprovalActions";

const DIGEST = "ab".repeat(32);

function approval(given: Partial<Approval> = {}): Approval {
  return {
    id: "apr_1",
    action: "knowledge_base.delete",
    resource: { kind: "knowledge_base", id: "kb_1", title: "Handbook" },
    terms: { documents: 3 },
    digest: DIGEST,
    state: "waiting",
    requester: "zhao",
    requester_name: "赵敏",
    reason: "The project has ended",
    created_at: "2026-11-23T09:00:00Z",
    expires_at: "2026-11-26T09:00:00Z",
    approvers_needed: 2,
    approvals: [],
    refusal: null,
    used_at: null,
    completed_at: null,
    is_break_glass: false,
    may: ["approve", "refuse"],
    ...given,
  };
}

afterEach(() => vi.unstubAllGlobals());

test("only what the server allows is offered", async () => {
  await show(<ApprovalActions approval={approval({ may: ["withdraw"] })} />);
  expect(screen.getAllByRole("button").map((button) => button.textContent)).toEqual(["Withdraw"]);
});

test("agreeing sends the digest of what was shown", async () => {
  const sent: [string, unknown][] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    if (request.method === "POST") sent.push([new URL(request.url).pathname, await request.json()]);
    return Response.json(approval({ state: "approved" }));
  });
  await show(<ApprovalActions approval={approval()} />);
  await userEvent.click(screen.getByTestId("approval-approve"));
  await userEvent.click(await screen.findByTestId("confirm-button"));
  expect(sent).toEqual([["/api/v1/approvals/apr_1/approve", { digest: DIGEST }]]);
});

test("a refusal needs a reason", async () => {
  vi.stubGlobal("fetch", async () => Response.json(approval()));
  await show(<ApprovalActions approval={approval()} />);
  await userEvent.click(screen.getByTestId("approval-refuse"));
  const submit = await screen.findByTestId("reason-submit");
  expect(submit).toBeDisabled();
  await userEvent.type(screen.getByTestId("reason"), "Too short");
  expect(submit).toBeDisabled();
  await userEvent.type(screen.getByTestId("reason"), ", no longer");
  expect(submit).toBeEnabled();
});

test("a reason is kept while it is written, and forgotten once it has arrived", async () => {
  vi.stubGlobal("fetch", async () => Response.json(approval({ state: "refused" })));
  await show(<ApprovalActions approval={approval()} />);
  const drafts = () => Object.values({ ...localStorage });
  await userEvent.click(screen.getByTestId("approval-refuse"));
  await userEvent.type(await screen.findByTestId("reason"), "The archive has no copy");
  expect(drafts()).toContain("The archive has no copy");
  await userEvent.click(screen.getByTestId("reason-submit"));
  await waitFor(() => expect(drafts()).not.toContain("The archive has no copy"));
});

test("what is done elsewhere says where its approval goes", async () => {
  await show(<ApprovalActions approval={approval({ action: "audit.export", may: ["use"] })} />);
  expect(screen.queryByRole("button")).toBeNull();
  expect(screen.getByText(/\?approval=apr_1/)).toBeVisible();
});

test("an approved lifting of a hold is done here, with its approval", async () => {
  const sent: string[] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname, search } = new URL(request.url);
    if (request.method === "POST") sent.push(pathname + search);
    return Response.json({});
  });
  const resource = { kind: "legal_hold", id: "hld_1", title: "Case 2026-17" };
  const found = approval({ action: "legal_hold.release", resource, state: "approved", may: ["use"] });
  await show(<ApprovalActions approval={found} />);
  await userEvent.click(screen.getByRole("button", { name: "Lift now" }));
  await userEvent.click(await screen.findByTestId("confirm-button"));
  expect(sent).toEqual(["/api/v1/legal-holds/hld_1/release?approval=apr_1"]);
});
