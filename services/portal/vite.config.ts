import { createReadStream, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import {
  convertCssVariables,
  defaultCssVariablesResolver,
  mergeMantineTheme,
  DEFAULT_THEME,
} from "@mantine/core";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";
import { theme } from "./src/theme/theme.ts";

const root = import.meta.dirname;
const gateway = process.env["ZHIKU_GATEWAY"] ?? "http://127.0.0.1:8000";

/** The theme as a stylesheet: Mantine would otherwise inject a `<style>` that a strict policy blocks. */
function themeStylesheet(): Plugin {
  const id = "virtual:theme.css";
  return {
    name: "zhiku-theme-stylesheet",
    resolveId: (source) => (source === id ? `\0${id}` : null),
    load: (source) =>
      source === `\0${id}`
        ? convertCssVariables(defaultCssVariablesResolver(mergeMantineTheme(DEFAULT_THEME, theme)))
        : null,
  };
}

/** Character maps, substitute fonts and decoders that pdf.js fetches when a document needs them. */
function pdfResources(): Plugin {
  const folders = ["cmaps", "standard_fonts", "wasm"];
  const files = folders.flatMap((folder) => {
    const path = join(root, "node_modules/pdfjs-dist", folder);
    return readdirSync(path).map((name) => ({ url: `pdfjs/${folder}/${name}`, path: join(path, name) }));
  });
  return {
    name: "zhiku-pdf-resources",
    configureServer(server) {
      server.middlewares.use("/pdfjs", (request, response, next) => {
        const file = files.find(({ url }) => `/${url}` === `/pdfjs${request.url ?? ""}`);
        if (file) createReadStream(file.path).pipe(response);
        else next();
      });
    },
    generateBundle() {
      for (const { url, path } of files) {
        if (basename(path).startsWith("LICENSE")) continue;
        this.emitFile({ type: "asset", fileName: url, source: readFileSync(path) });
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), themeStylesheet(), pdfResources()],
  resolve: { alias: { "@": join(root, "src") } },
  build: {
    outDir: join(root, "../zhiku_services/gateway/static"),
    emptyOutDir: true,
    manifest: true,
    target: "es2022",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1200,
  },
  server: { proxy: { "/api": gateway } },
  test: {
    globals: true,
    environment: "jsdom",
    setupFiles: ["./src/test/setup.ts"],
    css: false,
    isolate: false,
    testTimeout: 15_000,
  },
});
