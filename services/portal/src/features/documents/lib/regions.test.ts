import { expect, test } from "vitest";
import { boxesOn } from "./regions";

const PAGE = { width: 600, height: 800 };

test("a region lies where its points say, with two points of air around it", () => {
  const regions = [{ page: 2, x0: 62, y0: 82, x1: 298, y1: 118 }];
  expect(boxesOn(regions, 2, PAGE)).toEqual([
    { left: "10.000%", top: "10.000%", width: "40.000%", height: "5.000%" },
  ]);
});

test("regions of other pages are not drawn", () => {
  expect(boxesOn([{ page: 1, x0: 0, y0: 0, x1: 10, y1: 10 }], 2, PAGE)).toEqual([]);
});

test("a region does not begin outside its page", () => {
  expect(boxesOn([{ page: 1, x0: -20, y0: 1, x1: 10, y1: 10 }], 1, PAGE)[0]).toMatchObject({
    left: "0.000%",
    top: "0.000%",
  });
});
