import { describe, expect, test } from "vitest";
import deskEn from "./en.desk.json";
import en from "./en.json";
import deskZh from "./zh-CN.desk.json";
import zh from "./zh-CN.json";

type Tree = { [key: string]: string | Tree };

function flat(tree: Tree, path = ""): Map<string, string> {
  return new Map(
    Object.entries(tree).flatMap(([key, value]) =>
      typeof value === "string" ? [[path + key, value] as const] : [...flat(value, `${path}${key}.`)],
    ),
  );
}

/** Chinese has one plural form, English two: a key counts by its stem. */
const stem = (key: string) => key.replace(/_(one|other)$/, "");
const variables = (text: string) =>
  [...text.matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name ?? "").toSorted();

const english = flat({ ...en, ...deskEn });
const chinese = flat({ ...zh, ...deskZh });

describe("the two languages", () => {
  test("say the same things", () => {
    const stems = (texts: Map<string, string>) => [...new Set([...texts.keys()].map(stem))].toSorted();
    expect(stems(chinese)).toEqual(stems(english));
  });

  test("have every plural form that their language needs", () => {
    const singular = [...english.keys()].filter((key) => key.endsWith("_one"));
    expect(singular.filter((key) => !english.has(`${stem(key)}_other`))).toEqual([]);
    expect([...chinese.keys()].filter((key) => key.endsWith("_one"))).toEqual([]);
  });

  test("take the same variables", () => {
    const differing = [...english].filter(([key, text]) => {
      const other = chinese.get(key) ?? chinese.get(`${stem(key)}_other`) ?? "";
      return variables(other).join(" ") !== variables(text).join(" ");
    });
    expect(differing).toEqual([]);
  });

  test("leave nothing empty", () => {
    for (const text of [...english.values(), ...chinese.values()]) expect(text.trim()).not.toBe("");
  });

  test("the Chinese texts are Chinese", () => {
    const inEnglish = [...chinese].filter(([, text]) => !/\p{Script=Han}/u.test(text)).map(([key]) => key);
    const international = [
      "citation.position",
      "upload.formats",
      "upload.named",
      "upload.readersPlaceholder",
      "upload.units",
    ];
    expect(inEnglish.toSorted()).toEqual(
      [...international, "access.namePlaceholder", "palette.switchLanguage"].toSorted(),
    );
  });
});
