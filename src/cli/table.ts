import stringWidth from "string-width";
import { at } from "../graph/at.js";
import { type TerminalLine, terminalLine } from "../text/destinations.js";

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** Left by default; numbers stand right. */
  readonly align?: "left" | "right";
  /** Columns with the highest number are left out first where the line is too narrow; 0 always stays. */
  readonly dropOrder: number;
}

/** Spaces between two columns. */
const GAP = 2;
/** The first column keeps this width, if it needs it, as long as another column can be left out. */
const PREFERRED_NAME = 20;
/** Narrower than this the first column says nothing. */
const SHORTEST_NAME = 8;

interface Rendered {
  readonly title: string;
  readonly cells: readonly TerminalLine[];
  readonly align: "left" | "right";
  readonly dropOrder: number;
  readonly width: number;
}

const PLAIN = /^[\x20-\x7e]*$/;

/** Columns of a terminal that a text takes. */
const widthOf = (text: string): number => (PLAIN.test(text) ? text.length : stringWidth(text));

function render<Row>(column: Column<Row>, rows: readonly Row[]): Rendered {
  const cells = rows.map((row) => terminalLine(column.cell(row)));
  const width = cells.reduce((most, cell) => Math.max(most, widthOf(cell)), widthOf(column.title));
  const { title, dropOrder, align = "left" } = column;
  return { title, cells, align, dropOrder, width };
}

const totalWidth = (columns: readonly Rendered[]): number =>
  columns.reduce((sum, column) => sum + column.width + GAP, -GAP);

/** Leaves out columns until the rest fits, the first one cut down to `PREFERRED_NAME` if need be. */
function fit(columns: readonly Rendered[], width: number): readonly Rendered[] {
  const slack = Math.max(0, at(columns, 0).width - PREFERRED_NAME);
  const last = Math.max(...columns.map((column) => column.dropOrder));
  if (last === 0 || totalWidth(columns) - slack <= width) return columns;
  return fit(
    columns.filter((column) => column.dropOrder !== last),
    width,
  );
}

const characters = new Intl.Segmenter();

/** Keeps the end: in names like /layer1/layer1.0/conv1/Conv it tells layers apart. @param width in columns */
function shorten(text: TerminalLine, width: number): TerminalLine {
  if (widthOf(text) <= width) return text;
  let end = "";
  let left = width - 1;
  // No column holds more than this of characters that join.
  const near = text.slice(-LONGEST_CHARACTER * width);
  for (const { segment } of [...characters.segment(near)].toReversed()) {
    left -= stringWidth(segment);
    if (left < 0) break;
    end = segment + end;
  }
  return `\u2026${end}` as TerminalLine;
}

/** UTF-16 units that one character on the screen has at most, for all that is read: as an emoji of a family. */
const LONGEST_CHARACTER = 16;

/**
 * A table without borders, no wider than `width` characters as long as the columns that always stay allow:
 * columns are left out in their order, then the first column is shortened.
 */
export function formatTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number,
): string {
  const kept = fit(
    columns.map((column) => render(column, rows)),
    width,
  );
  const excess = Math.max(0, totalWidth(kept) - width);
  const nameWidth = Math.max(SHORTEST_NAME, at(kept, 0).width - excess);
  const shown = kept.map((column, index) =>
    index === 0 ? { ...column, cells: column.cells.map((cell) => shorten(cell, nameWidth)) } : column,
  );
  const widths = shown.map(({ title, cells }) =>
    cells.reduce((most, cell) => Math.max(most, widthOf(cell)), widthOf(title)),
  );
  const line = (texts: readonly string[]): string =>
    shown
      .map(({ align }, index) => padded(at(texts, index), at(widths, index), align))
      .join(" ".repeat(GAP))
      .trimEnd();
  const titles = line(shown.map((column) => column.title));
  const lines = rows.map((_, row) => line(shown.map((column) => at(column.cells, row))));
  return [titles, ...lines].join("\n");
}

function padded(text: string, width: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, width - widthOf(text)));
  return align === "left" ? text + space : space + text;
}

/** 12345678 as "12.35 M". */
export function compactNumber(value: number): string {
  const units: readonly (readonly [number, string])[] = [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ];
  const unit = units.find(([size]) => value >= size);
  return unit === undefined ? `${Math.round(value)}` : `${(value / unit[0]).toFixed(2)} ${unit[1]}`;
}
