import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, test, vi } from "vitest";
import { version } from "@/test/samples";
import { show } from "@/test/render";
import { VersionRow } from "./VersionRow";

describe("a document version on its way", () => {
  test("says its stage, how far it is and how long it takes", async () => {
    const progress = { ...version().progress, done: 37, total: 212, eta_s: 94 };
    await show(<VersionRow version={version({ state: "parsing", progress })} mayEdit />);
    expect(screen.getByTestId("version-state")).toHaveTextContent(
      "Reading · 37 of 212 · about 2 minutes left",
    );
    expect(screen.getByRole("progressbar")).toHaveAttribute("aria-valuenow", "29");
  });

  test("says where it stands in the queue", async () => {
    const progress = { ...version().progress, queue_position: 4 };
    await show(<VersionRow version={version({ progress })} mayEdit />);
    expect(screen.getByTestId("version-state")).toHaveTextContent("Waiting · number 4 in the queue");
  });

  test("says why it failed, with code and remedy, and offers another try", async () => {
    const requests: string[] = [];
    vi.stubGlobal("fetch", async (request: Request) => {
      requests.push(`${request.method} ${new URL(request.url).pathname}`);
      return Response.json(version());
    });
    const reason = {
      code: "parse_timeout",
      stage: "parsing",
      detail: "Page 1 took too long.",
      remedy: "Split it.",
      may_pass_later: true,
    };
    await show(<VersionRow version={version({ state: "failed", reason })} mayEdit />);
    expect(screen.getByTestId("version-reason")).toHaveTextContent(
      "Page 1 took too long.Split it.parse_timeout",
    );
    await userEvent.click(screen.getByTestId("version-retry"));
    await waitFor(() => expect(requests).toEqual(["POST /api/v1/document-versions/ver_1/retry"]));
  });

  test("offers no other try where the same file fails again", async () => {
    const reason = { code: "empty_file", stage: "preflight", detail: "Empty.", remedy: "Save it." };
    const failed = version({ state: "failed", reason: { ...reason, may_pass_later: false } });
    await show(<VersionRow version={failed} mayEdit />);
    expect(screen.getByTestId("version-reason")).toHaveTextContent("empty_file");
    expect(screen.queryByTestId("version-retry")).toBeNull();
  });

  test("can be cancelled while it is on its way, by who may edit", async () => {
    const { unmount } = await show(<VersionRow version={version({ state: "embedding" })} mayEdit />);
    expect(screen.getByTestId("version-cancel")).toHaveAccessibleName("Cancel report.pdf");
    unmount();
    await show(<VersionRow version={version({ state: "embedding" })} mayEdit={false} />);
    expect(screen.queryByTestId("version-cancel")).toBeNull();
  });

  test("says what was not read, or cannot be searched", async () => {
    const notes = [
      { code: "attachment", count: 2, names: ["plan.pdf", "costs.xlsx"], pages: [] },
      { code: "page_without_text", count: 30, names: [], pages: [2, 3] },
      { code: "unreadable_characters", count: 1, names: [], pages: [] },
    ] as const;
    const given = notes.map((note) => ({ ...note, names: [...note.names], pages: [...note.pages] }));
    await show(<VersionRow version={version({ state: "indexed", notes: given })} mayEdit={false} />);
    const lines = within(screen.getByRole("list", { name: "About its content" })).getAllByRole("listitem");
    expect(lines.map((line) => line.textContent)).toEqual([
      "2 attachments were not read: plan.pdf and costs.xlsx",
      "30 pages show something but hold no text, such as scans; they cannot be searched (page 2, 3, …)",
      "1 character could not be read; \ufffd stands for it",
    ]);
  });

  test("leads to its document once it is ready", async () => {
    await show(<VersionRow version={version({ state: "indexed", passages: 12 })} mayEdit />);
    expect(screen.getByRole("link", { name: "report.pdf" })).toHaveAttribute("href", "/documents/doc_1");
    expect(screen.getByTestId("version-state")).toHaveTextContent("Ready · 12 passages");
  });
});
