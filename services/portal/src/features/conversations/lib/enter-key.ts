interface KeyPress {
  key: string;
  shiftKey: boolean;
  keyCode: number;
  isComposing: boolean;
}

/**
 * Whether Enter sends. While an input method composes Chinese, Enter picks a candidate instead; Safari
 * ends the composition before the key event and tells it apart only by key code 229.
 */
export function isSendKey({ key, shiftKey, keyCode, isComposing }: KeyPress): boolean {
  return key === "Enter" && !shiftKey && !isComposing && keyCode !== 229;
}
