import { fireEvent, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, test, vi } from "vitest";
import { readDraft } from "@/features/session/lib/drafts";
import { show } from "@/test/render";
import { Composer } from "./Composer";

type Props = Partial<Parameters<typeof Composer>[0]>;

async function compose(props: Props = {}) {
  const onSend = vi.fn<(text: string) => Promise<void>>(() => Promise.resolve());
  const { unmount } = await show(
    <Composer
      draft="u.new"
      sent={undefined}
      isAnswering={false}
      isStopping={false}
      lastQuestion={undefined}
      scope={null}
      onSend={onSend}
      onStop={() => undefined}
      {...props}
    />,
  );
  return { onSend, unmount, box: screen.getByTestId<HTMLTextAreaElement>("composer") };
}

describe("the composer", () => {
  test("Enter sends and empties the box", async () => {
    const { onSend, box } = await compose();
    await userEvent.type(box, "How many days?{Enter}");
    expect(onSend).toHaveBeenCalledWith("How many days?");
    expect(box).toHaveValue("");
  });

  test("Shift and Enter begin a new line", async () => {
    const { onSend, box } = await compose();
    await userEvent.type(box, "One{Shift>}{Enter}{/Shift}Two");
    expect(onSend).not.toHaveBeenCalled();
    expect(box).toHaveValue("One\nTwo");
  });

  test("Enter picks a candidate while an input method composes", async () => {
    const { onSend, box } = await compose();
    fireEvent.compositionStart(box);
    fireEvent.change(box, { target: { value: "nianjia" } });
    fireEvent.keyDown(box, { key: "Enter", keyCode: 13, isComposing: true });
    expect(onSend).not.toHaveBeenCalled();
    fireEvent.compositionEnd(box);
    fireEvent.change(box, { target: { value: "年假" } });
    fireEvent.keyDown(box, { key: "Enter", keyCode: 13, isComposing: false });
    expect(onSend).toHaveBeenCalledWith("年假");
  });

  test("Enter picks a candidate in Safari, which says so only by key code 229", async () => {
    const { onSend, box } = await compose();
    fireEvent.change(box, { target: { value: "年假" } });
    fireEvent.keyDown(box, { key: "Enter", keyCode: 229, isComposing: false });
    expect(onSend).not.toHaveBeenCalled();
  });

  test("nothing is sent while an answer comes, and the button stops it", async () => {
    const onStop = vi.fn<() => void>();
    const { onSend, box } = await compose({ isAnswering: true, onStop });
    await userEvent.type(box, "Next{Enter}");
    expect(onSend).not.toHaveBeenCalled();
    await userEvent.click(screen.getByTestId("stop"));
    expect(onStop).toHaveBeenCalledOnce();
  });

  test("what was typed outlives the page", async () => {
    const { box, unmount } = await compose();
    await userEvent.type(box, "Half a quest");
    unmount();
    expect((await compose()).box).toHaveValue("Half a quest");
  });

  test("a question on its way does not stand in the box again", async () => {
    const { box, unmount } = await compose();
    await userEvent.type(box, "How many days?{Enter}");
    expect(readDraft("u.new")).toBe("How many days?");
    unmount();
    expect((await compose({ sent: "How many days?" })).box).toHaveValue("");
  });

  test("a question that was not taken comes back", async () => {
    const { box } = await compose({ onSend: () => Promise.reject(new Error("no")) });
    await userEvent.type(box, "How many days?{Enter}");
    await waitFor(() => expect(box).toHaveValue("How many days?"));
  });

  test("the arrow up brings the question before back into an empty box", async () => {
    const { box } = await compose({ lastQuestion: "Earlier?" });
    await userEvent.type(box, "{ArrowUp}");
    expect(box).toHaveValue("Earlier?");
  });

  test("a question that is too long is not sent, and says so", async () => {
    const { onSend, box } = await compose();
    fireEvent.change(box, { target: { value: "x".repeat(4001) } });
    fireEvent.keyDown(box, { key: "Enter" });
    expect(onSend).not.toHaveBeenCalled();
    expect(screen.getByRole("alert")).toHaveTextContent(/at most 4000/);
  });
});
