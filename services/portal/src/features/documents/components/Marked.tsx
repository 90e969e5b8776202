import { Fragment } from "react";
import type { Piece } from "../lib/highlight";

/** Text with its marked pieces. */
export function Marked({ pieces }: { pieces: Piece[] }) {
  return pieces.map(({ text, isMarked }, index) =>
    // The pieces of one text never move.
    isMarked ? <mark key={index}>{text}</mark> : <Fragment key={index}>{text}</Fragment>,
  );
}
