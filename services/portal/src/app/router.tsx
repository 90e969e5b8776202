import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  type RouterHistory,
} from "@tanstack/react-router";
import { loadDeskTexts } from "@/i18n";
import { CrashPage, LostPage } from "./ErrorPage";
import { SignedInShell } from "./SignedInShell";

const text = (value: unknown): string | undefined => (typeof value === "string" && value ? value : undefined);
const page = (value: unknown): number | undefined =>
  Number.isInteger(Number(value)) && Number(value) > 0 ? Number(value) : undefined;

/** Loads a page of the desks with the texts that only those need. */
const desk =
  <Module,>(load: () => Promise<Module>) =>
  async (): Promise<Module> =>
    (await Promise.all([load(), loadDeskTexts()]))[0];

const root = createRootRoute({ notFoundComponent: LostPage, errorComponent: CrashPage });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (
    search: Record<string, unknown>,
  ): { next?: string | undefined; expired?: true | undefined } => ({
    next: text(search["next"]),
    expired: search["expired"] ? true : undefined,
  }),
  component: lazyRouteComponent(() => import("@/features/session/components/LoginPage"), "LoginPage"),
});

const shell = createRoute({ getParentRoute: () => root, id: "shell", component: SignedInShell });

const loadChat = lazyRouteComponent(() => import("@/features/conversations/components/ChatPage"), "ChatPage");

/** `cite` is the open citation, `ANSWER:NUMBER`, so that the back button closes it. */
const validateChat = (
  search: Record<string, unknown>,
): { cite?: string | undefined; kb?: string | undefined } => ({
  cite: text(search["cite"]),
  kb: text(search["kb"]),
});

const ask = createRoute({
  getParentRoute: () => shell,
  path: "/",
  component: loadChat,
  validateSearch: validateChat,
});

const conversation = createRoute({
  getParentRoute: () => shell,
  path: "/chat/$conversationId",
  component: loadChat,
  validateSearch: validateChat,
});

const knowledgeBases = createRoute({
  getParentRoute: () => shell,
  path: "/knowledge-bases",
  component: lazyRouteComponent(
    () => import("@/features/knowledge-bases/components/KnowledgeBasesPage"),
    "KnowledgeBasesPage",
  ),
});

const knowledgeBase = createRoute({
  getParentRoute: () => shell,
  path: "/knowledge-bases/$knowledgeBaseId",
  component: lazyRouteComponent(
    () => import("@/features/knowledge-bases/components/KnowledgeBasePage"),
    "KnowledgeBasePage",
  ),
  validateSearch: (search: Record<string, unknown>): { tab?: string | undefined } => ({
    tab: text(search["tab"]),
  }),
});

const document = createRoute({
  getParentRoute: () => shell,
  path: "/documents/$documentId",
  component: lazyRouteComponent(() => import("@/features/documents/components/DocumentPage"), "DocumentPage"),
  validateSearch: (
    search: Record<string, unknown>,
  ): { page?: number | undefined; passage?: string | undefined } => ({
    page: page(search["page"]),
    passage: text(search["passage"]),
  }),
});

const search = createRoute({
  getParentRoute: () => shell,
  path: "/search",
  component: lazyRouteComponent(() => import("@/features/search/components/SearchPage"), "SearchPage"),
  validateSearch: (raw: Record<string, unknown>): { q?: string | undefined; mode?: string | undefined } => ({
    q: text(raw["q"]),
    mode: text(raw["mode"]),
  }),
});

const approvals = createRoute({
  getParentRoute: () => shell,
  path: "/approvals",
  component: lazyRouteComponent(
    () => import("@/features/approvals/components/ApprovalsPage"),
    "ApprovalsPage",
  ),
  validateSearch: (raw: Record<string, unknown>): { whose?: string | undefined } => ({
    whose: text(raw["whose"]),
  }),
});

const approval = createRoute({
  getParentRoute: () => shell,
  path: "/approvals/$approvalId",
  component: lazyRouteComponent(() => import("@/features/approvals/components/ApprovalPage"), "ApprovalPage"),
});

const reviews = createRoute({
  getParentRoute: () => shell,
  path: "/reviews",
  component: lazyRouteComponent(
    desk(() => import("@/features/reviews/components/ReviewsPage")),
    "ReviewsPage",
  ),
  validateSearch: (raw: Record<string, unknown>): { shown?: string | undefined } => ({
    shown: text(raw["shown"]),
  }),
});

const review = createRoute({
  getParentRoute: () => shell,
  path: "/reviews/$caseId",
  component: lazyRouteComponent(
    desk(() => import("@/features/reviews/components/CasePage")),
    "CasePage",
  ),
});

const legalHolds = createRoute({
  getParentRoute: () => shell,
  path: "/legal-holds",
  component: lazyRouteComponent(
    desk(() => import("@/features/legal-holds/components/HoldsPage")),
    "HoldsPage",
  ),
});

const retention = createRoute({
  getParentRoute: () => shell,
  path: "/retention",
  component: lazyRouteComponent(
    desk(() => import("@/features/retention/components/RetentionPage")),
    "RetentionPage",
  ),
});

const training = createRoute({
  getParentRoute: () => shell,
  path: "/training",
  component: lazyRouteComponent(
    desk(() => import("@/features/training/components/TrainingPage")),
    "TrainingPage",
  ),
  validateSearch: (raw: Record<string, unknown>): { tab?: string | undefined } => ({ tab: text(raw["tab"]) }),
});

const trainingRun = createRoute({
  getParentRoute: () => shell,
  path: "/training/runs/$runId",
  component: lazyRouteComponent(
    desk(() => import("@/features/training/components/RunPage")),
    "RunPage",
  ),
});

const trainingDataset = createRoute({
  getParentRoute: () => shell,
  path: "/training/datasets/$datasetId",
  component: lazyRouteComponent(
    desk(() => import("@/features/training/components/DatasetPage")),
    "DatasetPage",
  ),
});

const apiKeys = createRoute({
  getParentRoute: () => shell,
  path: "/api-keys",
  component: lazyRouteComponent(() => import("@/features/api-keys/components/ApiKeysPage"), "ApiKeysPage"),
});

const settings = createRoute({
  getParentRoute: () => shell,
  path: "/settings",
  component: lazyRouteComponent(() => import("@/features/settings/components/SettingsPage"), "SettingsPage"),
});

const routeTree = root.addChildren([
  login,
  shell.addChildren([
    ask,
    conversation,
    knowledgeBases,
    knowledgeBase,
    document,
    search,
    approvals,
    approval,
    reviews,
    review,
    legalHolds,
    retention,
    training,
    trainingRun,
    trainingDataset,
    apiKeys,
    settings,
  ]),
]);

/** The portal's router; `history` other than the browser's is for tests. */
export function makeRouter(history?: RouterHistory) {
  return createRouter({
    routeTree,
    defaultPreload: "intent",
    defaultErrorComponent: CrashPage,
    ...(history && { history }),
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
