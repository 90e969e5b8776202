import { expect, test } from "vitest";
import { confirmUrl, localPath, signInUrl } from "./sign-in";

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

test("the login leads back to the page, in its language", () => {
  expect(signInUrl({ next: "/search?q=年假", language: "zh-CN" })).toBe(
    "/api/v1/auth/login?next=%2Fsearch%3Fq%3D%E5%B9%B4%E5%81%87&ui_locales=zh-CN",
  );
});

test("confirming leads back to the page", () => {
  expect(confirmUrl("/api/v1/auth/login?max_age=300", "/audit?q=1")).toBe(
    "/api/v1/auth/login?max_age=300&next=%2Faudit%3Fq%3D1",
  );
});
