import { MantineProvider, localStorageColorSchemeManager } from "@mantine/core";
import "@mantine/core/styles.layer.css";
import "@mantine/spotlight/styles.layer.css";
import "virtual:theme.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { makeQueryClient } from "./app/query-client";
import { makeRouter } from "./app/router";
import { AnswerStreamsProvider, makeAnswerStreams } from "./features/answers/hooks/answer-streams-context";
import { startLanguage } from "./i18n";
import { theme } from "./theme/theme";
import "./theme/tokens.css";
import "./theme/global.css";

const router = makeRouter();
const queries = makeQueryClient();
const streams = makeAnswerStreams(queries);
const colorSchemes = localStorageColorSchemeManager({ key: "zhiku.color-scheme" });

async function start(): Promise<void> {
  await startLanguage();
  createRoot(document.querySelector("#root")!).render(
    <StrictMode>
      <MantineProvider
        theme={theme}
        defaultColorScheme="auto"
        colorSchemeManager={colorSchemes}
        withCssVariables={false}
        withGlobalClasses={false}
      >
        <QueryClientProvider client={queries}>
          <AnswerStreamsProvider value={streams}>
            <RouterProvider router={router} />
          </AnswerStreamsProvider>
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}

void start();
