import { Fragment } from "react";
import { isQuoted, type TextTable } from "../lib/table";
import classes from "./PassageText.module.css";

/** A table passage as a table, the rows of the quote marked. */
export function PassageTable({ table, quote }: { table: TextTable; quote: string | undefined }) {
  const marked = (cell: string, row: string[]) =>
    quote !== undefined && isQuoted(row, quote) ? <mark>{cell}</mark> : <Fragment>{cell}</Fragment>;
  return (
    // A wide table scrolls by itself; the tab stop lets a keyboard do it.
    <div className={classes.tableFrame} tabIndex={0} role="group">
      <table className={classes.table}>
        {table.caption.length > 0 && <caption>{table.caption.join(" ")}</caption>}
        <thead>
          <tr>
            {table.header.map((cell, index) => (
              <th key={index} scope="col">
                {marked(cell, table.header)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (
                <td key={column}>{marked(cell, row)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
