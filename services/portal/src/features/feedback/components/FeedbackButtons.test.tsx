import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Feedback, NewFeedback } from "@/api/types";
import { answer } from "@/test/samples";
import { show } from "@/test/render";
import FeedbackButtons from "./FeedbackButtons";

const GIVEN: Feedback = {
  rating: "down",
  faults: ["wrong"],
  comment: "",
  correction: "It is 20 days.",
  may_train: false,
  receipt_sha256: "0".repeat(64),
  given_at: "2026-11-01T08:00:00Z",
};

/** Answers as the server would, and keeps what it was sent. */
function serve() {
  const sent: { method: string; body: NewFeedback | null }[] = [];
  vi.stubGlobal(
    "fetch",
    vi.fn<(request: Request) => Promise<Response>>(async (request) => {
      const text = await request.text();
      const body = text ? (JSON.parse(text) as NewFeedback) : null;
      sent.push({ method: request.method, body });
      if (request.method === "DELETE") return new Response(null, { status: 204 });
      return Response.json({ ...GIVEN, ...body });
    }),
  );
  return sent;
}

afterEach(() => vi.unstubAllGlobals());

describe("feedback", () => {
  test("a thumb up is given with one press and taken back with another", async () => {
    const sent = serve();
    await show(<FeedbackButtons answer={answer()} />);
    await userEvent.click(screen.getByTestId("feedback-up"));
    await waitFor(() => expect(screen.getByTestId("feedback-up")).toHaveAttribute("aria-pressed", "true"));
    await userEvent.click(screen.getByTestId("feedback-up"));
    await waitFor(() => expect(screen.getByTestId("feedback-up")).toHaveAttribute("aria-pressed", "false"));
    expect(sent.map(({ method }) => method)).toEqual(["PUT", "DELETE"]);
    expect(sent[0]?.body).toMatchObject({ rating: "up", may_train: false });
  });

  test("a thumb down asks what was wrong and sends it", async () => {
    const sent = serve();
    await show(<FeedbackButtons answer={answer()} />);
    await userEvent.click(screen.getByTestId("feedback-down"));
    await userEvent.click(await screen.findByRole("checkbox", { name: "Out of date" }));
    await userEvent.type(screen.getByTestId("feedback-correction"), "It is 20 days.");
    await userEvent.click(screen.getByRole("checkbox", { name: "A model may learn from this" }));
    await userEvent.click(screen.getByTestId("feedback-send"));
    await waitFor(() => expect(screen.getByTestId("feedback-down")).toHaveAttribute("aria-pressed", "true"));
    expect(screen.queryByTestId("feedback-form")).toBeNull();
    expect(sent[0]?.body).toEqual({
      rating: "down",
      faults: ["outdated"],
      comment: "",
      correction: "It is 20 days.",
      may_train: true,
    });
  });

  test("what was said before is there to be changed or taken back", async () => {
    const sent = serve();
    await show(<FeedbackButtons answer={answer({ feedback: GIVEN })} />);
    await userEvent.click(screen.getByTestId("feedback-down"));
    expect(await screen.findByTestId("feedback-correction")).toHaveValue("It is 20 days.");
    expect(screen.getByRole("checkbox", { name: "Wrong" })).toBeChecked();
    await userEvent.click(screen.getByRole("button", { name: "Take back" }));
    await waitFor(() => expect(screen.getByTestId("feedback-down")).toHaveAttribute("aria-pressed", "false"));
    expect(sent.map(({ method }) => method)).toEqual(["DELETE"]);
  });

  test("a refusal is shown, and what was written stays", async () => {
    const refuse = () =>
      Promise.resolve(
        Response.json(
          {
            type: "urn:zhiku:error:answer_unfinished",
            title: "",
            status: 409,
            code: "answer_unfinished",
            detail: "",
            remedy: "",
          },
          { status: 409 },
        ),
      );
    vi.stubGlobal("fetch", vi.fn<() => Promise<Response>>(refuse));
    await show(<FeedbackButtons answer={answer()} />);
    await userEvent.click(screen.getByTestId("feedback-down"));
    await userEvent.type(await screen.findByTestId("feedback-correction"), "Twenty.");
    await userEvent.click(screen.getByTestId("feedback-send"));
    expect(await screen.findByText("This answer is still being written.")).toBeVisible();
    expect(screen.getByTestId("feedback-correction")).toHaveValue("Twenty.");
  });
});
