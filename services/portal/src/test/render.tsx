import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import {
  createMemoryHistory,
  createRootRoute,
  createRoute,
  createRouter,
  RouterProvider,
} from "@tanstack/react-router";
import { act, render } from "@testing-library/react";
import type { ReactNode } from "react";
import { makeQueryClient } from "@/app/query-client";
import { AnswerStreamsProvider, makeAnswerStreams } from "@/features/answers/hooks/answer-streams-context";
import { i18next } from "@/i18n";
import { theme } from "@/theme/theme";

/** Show a piece of the portal as it stands in the whole: in English, with router, cache and theme. */
export async function show(piece: ReactNode) {
  await i18next.changeLanguage("en");
  const queries = makeQueryClient();
  const root = createRootRoute({ component: () => piece });
  const anywhere = createRoute({ getParentRoute: () => root, path: "$" });
  const router = createRouter({ routeTree: root.addChildren([anywhere]), history: createMemoryHistory() });
  await act(() => router.load());
  return render(
    <MantineProvider theme={theme} env="test">
      <QueryClientProvider client={queries}>
        <AnswerStreamsProvider value={makeAnswerStreams(queries)}>
          <RouterProvider router={router as never} />
        </AnswerStreamsProvider>
      </QueryClientProvider>
    </MantineProvider>,
  );
}
