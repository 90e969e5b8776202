import "@testing-library/jest-dom/vitest";
import { cleanup, configure } from "@testing-library/react";
import { afterEach, vi } from "vitest";
import { page } from "@/features/session/hooks/useSession";
import { i18next } from "@/i18n";
import deskEn from "@/i18n/en.desk.json";
import en from "@/i18n/en.json";
import deskZh from "@/i18n/zh-CN.desk.json";
import zh from "@/i18n/zh-CN.json";

i18next.addResourceBundle("en", "translation", { ...en, ...deskEn });
i18next.addResourceBundle("zh-CN", "translation", { ...zh, ...deskZh });

// A page is loaded when it is first opened, which takes its time on a busy machine.
configure({ asyncUtilTimeout: 5_000 });

// What jsdom lacks and Mantine asks for.
Object.defineProperty(window, "matchMedia", {
  writable: true,
  value: (query: string) => ({
    matches: false,
    media: query,
    onchange: null,
    addEventListener: vi.fn(),
    removeEventListener: vi.fn(),
    addListener: vi.fn(),
    removeListener: vi.fn(),
    dispatchEvent: vi.fn(),
  }),
});
class NoResizeObserver implements ResizeObserver {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
}
window.ResizeObserver = NoResizeObserver;
Object.defineProperty(document, "fonts", { configurable: true, value: new EventTarget() });
window.scrollTo = () => undefined;
Element.prototype.scrollIntoView = () => undefined;

afterEach(() => {
  cleanup();
  localStorage.clear();
  page.user = null;
  vi.unstubAllGlobals();
});
