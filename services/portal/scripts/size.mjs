// Fails when the JavaScript that the first page needs is over the budget, gzipped.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGET_BYTES = 250_000;
// With one language; the Chinese file is the larger one.
const FIRST_PAGES = [
  "index.html",
  "src/features/conversations/components/ChatPage.tsx",
  "src/i18n/zh-CN.json",
];
const folder = new URL("../../zhiku_services/gateway/static/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", folder), "utf8"));

const seen = new Set();
function follow(key) {
  if (seen.has(key)) return;
  if (!manifest[key])
    throw new Error(`${key} is not in the build's manifest; name the first page's module here`);
  seen.add(key);
  for (const next of manifest[key].imports ?? []) follow(next);
}
for (const page of FIRST_PAGES) follow(page);

let total = 0;
for (const key of seen) {
  const { file } = manifest[key];
  if (!file.endsWith(".js")) continue;
  const bytes = gzipSync(readFileSync(new URL(file, folder)), { level: 9 }).length;
  total += bytes;
  process.stdout.write(`${(bytes / 1000).toFixed(1).padStart(8)} kB  ${file}\n`);
}
process.stdout.write(
  `${(total / 1000).toFixed(1).padStart(8)} kB  initial JavaScript, of ${BUDGET_BYTES / 1000} kB\n`,
);
if (total > BUDGET_BYTES) {
  process.stderr.write("Over the budget: load something later, or drop it.\n");
  process.exit(1);
}
