import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, test, vi } from "vitest";
import { AnswerStreamsProvider, makeAnswerStreams } from "@/features/answers/hooks/answer-streams-context";
import { i18next } from "@/i18n";
import { problemResponse } from "@/test/samples";
import { page, sessionQuery } from "@/features/session/hooks/useSession";
import { makeQueryClient } from "./query-client";
import { makeRouter } from "./router";

const SESSION = {
  sub: "li.na",
  name: "Li Na",
  email: "li.na@example.com",
  department: "HR",
  roles: ["employee"],
  permissions: [],
  csrf_token: "token",
  expires_at: "2026-11-01T20:00:00Z",
};

let isSignedIn: boolean;
let user = "li.na";
let changes: Request[];

beforeEach(async () => {
  isSignedIn = true;
  changes = [];
  await i18next.changeLanguage("en");
  vi.stubGlobal("fetch", async (given: Request | string, init?: RequestInit) => {
    const request =
      given instanceof Request ? given : new Request(new URL(given, window.location.origin), init);
    if (request.method !== "GET") changes.push(request);
    if (!isSignedIn) return problemResponse(401, "not_signed_in");
    if (request.url.endsWith("/session")) return Response.json({ ...SESSION, sub: user });
    return Response.json({ items: [], next_cursor: null });
  });
});

function open(path: string) {
  const router = makeRouter(createMemoryHistory({ initialEntries: [path] }));
  const queries = makeQueryClient();
  render(
    <MantineProvider env="test">
      <QueryClientProvider client={queries}>
        <AnswerStreamsProvider value={makeAnswerStreams(queries)}>
          <RouterProvider router={router} />
        </AnswerStreamsProvider>
      </QueryClientProvider>
    </MantineProvider>,
  );
}

test("when somebody else has signed in in another tab, the page begins anew", async () => {
  const reload = vi.spyOn(page, "reload").mockImplementation(() => {});
  const queries = makeQueryClient();
  await queries.fetchQuery({ ...sessionQuery, staleTime: 0 });
  user = "zhao.min";
  void queries.fetchQuery({ ...sessionQuery, staleTime: 0 });
  await vi.waitFor(() => expect(reload).toHaveBeenCalledOnce());
  expect(queries.getQueryData(sessionQuery.queryKey)?.sub).toBe("li.na");
  user = "li.na";
});

test("a stranger is sent to the login page, and back to where they wanted to go", async () => {
  isSignedIn = false;
  open("/knowledge-bases/kb_1?tab=imports");
  const button = await screen.findByTestId("login-button");
  const href = new URL(button.getAttribute("href") ?? "", window.location.origin);
  expect(href.pathname).toBe("/api/v1/auth/login");
  expect(href.searchParams.get("next")).toBe("/knowledge-bases/kb_1?tab=imports");
  expect(screen.queryByText(/session has ended/)).toBeNull();
});

test("a session that ends sends to the login page and keeps what was typed", async () => {
  open("/");
  const box = await screen.findByTestId("composer");
  await userEvent.type(box, "How many days?");
  isSignedIn = false;
  await userEvent.keyboard("{Enter}");
  expect(await screen.findByText(/session has ended/)).toBeVisible();
  expect(changes[0]?.headers.get("X-CSRF-Token")).toBe("token");
  expect(localStorage.getItem("zhiku.draft.li.na.new")).toBe("How many days?");
});
