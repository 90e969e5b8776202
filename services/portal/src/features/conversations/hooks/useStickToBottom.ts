import { useCallback, useEffect, useRef, useState } from "react";

const SLACK_PX = 48;

/**
 * Keep a growing list at its end while its reader is there, and leave it alone once they scroll up.
 * Put `scroller` on the element that scrolls and `content` on what grows inside it.
 */
export function useStickToBottom() {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const isStuck = useRef(true);
  const [isAtEnd, setAtEnd] = useState(true);

  const jump = useCallback(() => {
    isStuck.current = true;
    const element = scroller.current;
    if (element) element.scrollTop = element.scrollHeight;
  }, []);

  useEffect(() => {
    const element = scroller.current;
    if (!element || !content.current) return undefined;
    let lastTop = element.scrollTop;
    const onScroll = () => {
      const toEnd = element.scrollHeight - element.scrollTop - element.clientHeight;
      // Growth moves the end away without the reader moving; only their own way up lets go.
      if (element.scrollTop < lastTop - 1) isStuck.current = toEnd < SLACK_PX;
      else if (toEnd < SLACK_PX) isStuck.current = true;
      lastTop = element.scrollTop;
      setAtEnd(toEnd < SLACK_PX);
    };
    const observer = new ResizeObserver(() => {
      if (isStuck.current) element.scrollTop = element.scrollHeight;
      onScroll();
    });
    observer.observe(content.current);
    observer.observe(element);
    element.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", onScroll);
    };
  }, []);

  return { scroller, content, isAtEnd, jump };
}
