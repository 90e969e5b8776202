import { expect, test, vi } from "vitest";
import { uploadStore, type Upload } from "./upload-store";

const upload = (key: string): Upload => ({
  key,
  knowledgeBaseId: "kb_1",
  file: new File(["x"], `${key}.md`),
  readers: null,
  percent: 0,
  problem: null,
});

test("what was added stays until it is dismissed, and whoever looks is told of each change", () => {
  const listener = vi.fn();
  const stop = uploadStore.subscribe(listener);
  uploadStore.add([upload("a")]);
  uploadStore.add([upload("b")]);
  uploadStore.change("a", { percent: 40 });
  expect(uploadStore.all().map(({ key, percent }) => [key, percent])).toEqual([
    ["b", 0],
    ["a", 40],
  ]);
  uploadStore.dismiss("b");
  uploadStore.dismiss("a");
  expect(uploadStore.all()).toEqual([]);
  expect(listener).toHaveBeenCalledTimes(5);
  stop();
  uploadStore.add([upload("c")]);
  uploadStore.dismiss("c");
  expect(listener).toHaveBeenCalledTimes(5);
});
