import { createTheme, type MantineColorsTuple } from "@mantine/core";

const pine: MantineColorsTuple = [
  "#eef5f2",
  "#dce9e4",
  "#b9d3ca",
  "#8fbaac",
  "#74b3a2",
  "#4a9584",
  "#2f7d6c",
  "#1d6456",
  "#175146",
  "#103b34",
];

const cinnabar: MantineColorsTuple = [
  "#fbefec",
  "#f5d9d3",
  "#ebb3a9",
  "#e28d7f",
  "#d8705f",
  "#cb5645",
  "#bb4433",
  "#a93426",
  "#8a2a1f",
  "#6b2018",
];

/** Warm greys, as of paper; the dark scale has a trace of green, as of ink. */
const paper: MantineColorsTuple = [
  "#faf8f4",
  "#f3f0e9",
  "#e8e3d8",
  "#d8d1c2",
  "#bdb4a2",
  "#8e8574",
  "#696254",
  "#4c473d",
  "#34312a",
  "#211f1a",
];

const inkstone: MantineColorsTuple = [
  "#e6e4dd",
  "#cbc9c1",
  "#acaba3",
  "#8a8b85",
  "#43494a",
  "#33393a",
  "#23282a",
  "#16191a",
  "#111415",
  "#0b0d0e",
];

const sans =
  'system-ui, -apple-system, "Segoe UI", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", sans-serif';
const serif =
  '"Iowan Old Style", "Palatino Linotype", Palatino, "Songti SC", "STSong", "Noto Serif CJK SC", "Noto Serif SC", "Source Han Serif SC", Georgia, serif';

export const theme = createTheme({
  colors: { pine, cinnabar, gray: paper, dark: inkstone },
  primaryColor: "pine",
  primaryShade: { light: 7, dark: 6 },
  black: "#211f1a",
  fontFamily: sans,
  fontFamilyMonospace: 'ui-monospace, "SF Mono", Menlo, Consolas, "Noto Sans Mono CJK SC", monospace',
  headings: { fontFamily: serif, fontWeight: "600" },
  defaultRadius: "md",
  radius: { xs: "3px", sm: "5px", md: "8px", lg: "12px", xl: "18px" },
  respectReducedMotion: true,
  cursorType: "pointer",
  components: {
    // Locking the page behind a dialogue injects a <style>, which the content security policy forbids.
    Modal: { defaultProps: { lockScroll: false, centered: true, radius: "lg" } },
    Drawer: { defaultProps: { lockScroll: false } },
    Tooltip: {
      defaultProps: { withArrow: true, openDelay: 300, events: { hover: true, focus: true, touch: false } },
    },
  },
});
