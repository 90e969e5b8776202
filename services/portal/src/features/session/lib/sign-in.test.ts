import { expect, test } from "vitest";
import { localPath, signInUrl } from "./sign-in";

test.each([
  ["/chat/cnv_1?cite=a:1", "/chat/cnv_1?cite=a:1"],
  ["/", "/"],
  ["//evil.example", "/"],
  ["/\\evil.example", "/"],
  ["https://evil.example", "/"],
  ["javascript:alert(1)", "/"],
  ["/login?next=/x", "/"],
])("after signing in %j leads to %j", (next, path) => {
  expect(localPath(next)).toBe(path);
});

test("the login asks which account only after signing out", () => {
  const base = { next: "/search?q=年假", language: "zh-CN" };
  expect(signInUrl({ ...base, isSwitching: false })).toBe(
    "/api/v1/auth/login?next=%2Fsearch%3Fq%3D%E5%B9%B4%E5%81%87&ui_locales=zh-CN",
  );
  expect(signInUrl({ ...base, isSwitching: true })).toContain("prompt=select_account");
});
