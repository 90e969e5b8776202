import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, test, vi } from "vitest";
import type { Answer, AnswerProblem, Citation } from "@/api/types";
import { answer, citation } from "@/test/samples";
import { show } from "@/test/render";
import { AnswerView } from "./AnswerView";

function view(
  given: Partial<Answer>,
  onOpen = vi.fn<(citation: Citation) => void>(),
  onAskAgain = vi.fn<() => void>(),
) {
  return show(
    <AnswerView answer={answer(given)} openCitation={null} onOpen={onOpen} onAskAgain={onAskAgain} />,
  );
}

describe("an answer", () => {
  test("puts the number of its source beside each sentence", async () => {
    await view({
      sentences: [
        { text: "You have 25 days.", citations: [1] },
        { text: "Unused days lapse.", citations: [1, 2] },
      ],
      citations: [citation(), citation({ n: 2, document: "Handbook", page: null })],
    });
    const chips = screen.getAllByTestId("citation-chip");
    expect(chips.map((chip) => chip.textContent)).toEqual(["1", "1", "2"]);
    expect(chips[0]).toHaveAccessibleName("Source 1: Leave policy, page 3");
    expect(chips[2]).toHaveAccessibleName("Source 2: Handbook");
    expect(screen.getAllByTestId("source-item")).toHaveLength(2);
    expect(screen.getByTestId("answer-mode")).toHaveTextContent("AI-generated");
  });

  test("opens the source whose number is pressed", async () => {
    const onOpen = vi.fn<(citation: Citation) => void>();
    await view({}, onOpen);
    await userEvent.click(screen.getByTestId("citation-chip"));
    expect(onOpen).toHaveBeenCalledWith(citation());
  });

  test("shows a card on focus, which Escape closes", async () => {
    await view({});
    await userEvent.tab();
    await userEvent.tab();
    expect(screen.getByTestId("citation-chip")).toHaveFocus();
    const card = await screen.findByTestId("citation-card");
    expect(card).toHaveTextContent("Employees have 25 days of annual leave.");
    await userEvent.keyboard("{Escape}");
    await vi.waitFor(() => expect(screen.queryByTestId("citation-card")).toBeNull());
  });

  test("marks a sentence that no source supports", async () => {
    await view({
      sentences: [
        { text: "You have 25 days.", citations: [1] },
        { text: "That is generous.", citations: [] },
      ],
    });
    expect(screen.getByTestId("unsupported-sentence")).toHaveTextContent("That is generous.");
  });

  test("shows extracts as quotations of their documents", async () => {
    await view({ mode: "extractive" });
    expect(screen.getByTestId("answer-mode")).toHaveTextContent("Quoted extracts");
    const quote = screen.getByText("You have 25 days.").closest("blockquote");
    expect(within(quote!).getByText("Leave policy")).toBeVisible();
  });

  test("what leads in to the extracts is no quotation", async () => {
    await view({
      mode: "extractive",
      sentences: [
        { text: "The documents say:", citations: [] },
        { text: "- 25 days a year.", citations: [1] },
      ],
    });
    expect(screen.getByText("The documents say:").closest("blockquote")).toBeNull();
    expect(screen.getByText("25 days a year.").closest("blockquote")).not.toBeNull();
  });

  test("says that nothing was found, and names the nearest documents", async () => {
    const sentences = [{ text: "The nearest document is “Leave policy”.", citations: [1] }];
    await view({ mode: "no_evidence", sentences });
    expect(screen.getByTestId("no-evidence")).toBeVisible();
    expect(screen.getByText("Nearest documents")).toBeVisible();
    expect(screen.getByTestId("source-item")).toHaveTextContent("Leave policy");
  });

  test("says that nothing was found, and where it searched", async () => {
    await view({
      mode: "no_evidence",
      text: "",
      sentences: [],
      citations: [],
      searched: ["Handbook", "财务"],
    });
    const box = screen.getByTestId("no-evidence");
    expect(box).toHaveTextContent("I found no good source for this.");
    expect(
      within(box)
        .getAllByRole("listitem")
        .map((item) => item.textContent),
    ).toEqual(["Handbook", "财务"]);
  });

  test("keeps the words of a stopped answer", async () => {
    await view({ state: "stopped", text: "You have 25 days. More th" });
    expect(screen.getByTestId("answer")).toHaveTextContent("More th");
    expect(screen.getByTestId("answer")).toHaveTextContent("Stopped");
  });

  test("a failed answer names code and remedy, and can be asked again", async () => {
    const again = vi.fn<() => void>();
    const problem = {
      code: "model_unavailable",
      detail: "The model is gone.",
      remedy: "Wait a minute.",
      categories: [],
    };
    await view(
      { state: "failed", mode: null, text: "", sentences: [], citations: [], problem },
      undefined,
      again,
    );
    const alert = screen.getByRole("alert");
    expect(alert).toHaveTextContent("The model is gone.");
    expect(alert).toHaveTextContent("Wait a minute.");
    expect(alert).toHaveTextContent("model_unavailable");
    await userEvent.click(within(alert).getByRole("button"));
    expect(again).toHaveBeenCalledOnce();
  });

  test("says for which categories it was withheld", async () => {
    const problem: AnswerProblem = {
      code: "question_blocked",
      detail: "Policy does not allow this question.",
      remedy: "Ask in other words.",
      categories: ["drugs", "injection"],
    };
    await view({ state: "failed", mode: null, text: "", sentences: [], citations: [], problem });
    expect(screen.getByTestId("safety-note")).toHaveTextContent("drugs and instructions to the model");
  });
});
