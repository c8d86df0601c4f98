import { axisStyle, CHART_WIDTH, type Chart, colours, drawChart } from "./chart.js";
import { shortenStart } from "./html.js";

export interface HeatMapRow {
  readonly name: string;
  /** One for each column; undefined leaves the cell empty. */
  readonly values: readonly (number | undefined)[];
}

export interface HeatMapSpec {
  readonly title: string;
  /** What the columns are. */
  readonly xLabel: string;
  readonly columns: readonly string[];
  readonly rows: readonly HeatMapRow[];
  /** The text of a cell, a few characters. */
  readonly format: (value: number) => string;
  /** How strong the colour of a cell is, from 0 to 1. */
  readonly intensity: (value: number) => number;
}

const ROW_HEIGHT = 21;
const TOP = 52;
const LONGEST_NAME = 36;
/** Width of a character of the row names: monospaced, 11 pixels high. */
const CHARACTER = 6.7;
const WIDEST_CELL = 72;
/** So many rows fit on a printed page. */
const ROWS_PER_CHART = 48;

/** From here on the cell is dark enough, in light and in dark, for white text. */
const WHITE_TEXT_FROM = 0.68;

/** Rows of coloured cells with their values, in several pictures of about one size where there are many rows. */
export function heatMaps(spec: HeatMapSpec): readonly Chart[] {
  const { rows, title } = spec;
  const count = Math.max(1, Math.ceil(rows.length / ROWS_PER_CHART));
  const size = Math.ceil(rows.length / count);
  const names = rows.map(({ name }) => shortenStart(name, LONGEST_NAME));
  const left = 16 + CHARACTER * names.reduce((longest, { length }) => Math.max(longest, length), 0);
  return Array.from({ length: count }, (_, index) => {
    const part = count === 1 ? "" : ` (${index + 1} of ${count})`;
    return heatMap(
      { ...spec, title: `${title}${part}`, rows: rows.slice(index * size, (index + 1) * size) },
      left,
    );
  });
}

interface Cell {
  readonly column: number;
  readonly row: number;
  readonly value: number;
}

/** @param left room for the names, in pixels */
function heatMap({ title, xLabel, columns, rows, format, intensity }: HeatMapSpec, left: number): Chart {
  const names = rows.map(({ name }) => shortenStart(name, LONGEST_NAME));
  const width = Math.min(WIDEST_CELL * columns.length, CHART_WIDTH - left - 8);
  const cells = rows.flatMap(({ values }, row) =>
    values.flatMap((value, column): Cell[] => (value === undefined ? [] : [{ column, row, value }])),
  );
  const cellWidth = width / columns.length;
  return drawChart(title, TOP + ROW_HEIGHT * rows.length + 8, {
    grid: { left, top: TOP, width, height: ROW_HEIGHT * rows.length, outerBoundsMode: "none" },
    xAxis: {
      ...axisStyle,
      type: "category",
      position: "top",
      data: columns,
      name: xLabel,
      nameLocation: "middle",
      nameGap: 28,
      axisTick: { show: false },
      axisLine: { show: false },
      axisLabel: { ...axisStyle.axisLabel, interval: 0 },
    },
    yAxis: {
      ...axisStyle,
      type: "category",
      inverse: true,
      // Names need not be unique: positions are.
      data: names.map((_, index) => `${index}`),
      axisTick: { show: false },
      axisLine: { show: false },
      axisLabel: {
        color: colours.ink,
        fontFamily: "monospace",
        fontSize: 11,
        interval: 0,
        formatter: (position: string) => names[Number(position)] ?? "",
      },
    },
    series: [
      {
        type: "custom",
        silent: true,
        data: cells.map(({ column, row, value }) => [column, row, value]),
        renderItem: (_: unknown, api: CellPosition) => {
          const cell = [api.value(0), api.value(1)] as const;
          const [x, y] = api.coord(cell);
          return drawCell(x, y, cellWidth, format(api.value(2)), intensity(api.value(2)));
        },
      },
    ],
  });
}

/** The part of echarts' `CustomSeriesRenderItemAPI` that is used. */
interface CellPosition {
  value(dimension: number): number;
  coord(data: readonly [number, number]): readonly [x: number, y: number];
}

/** A rectangle about (x, y) with text in it. */
function drawCell(x: number, y: number, width: number, text: string, strength: number): object {
  const shape = { x: x - width / 2 + 1, y: y - ROW_HEIGHT / 2 + 1, width: width - 2, height: ROW_HEIGHT - 2 };
  const percent = Math.round(100 * Math.min(1, Math.max(0, strength)));
  return {
    type: "group",
    children: [
      { type: "rect", shape, style: { fill: `color-mix(in srgb, var(--loss) ${percent}%, var(--cell))` } },
      {
        type: "text",
        style: {
          x,
          y,
          text,
          align: "center",
          verticalAlign: "middle",
          fontSize: 11,
          fontFamily: "inherit",
          fill: strength >= WHITE_TEXT_FROM ? "#fff" : colours.ink,
        },
      },
    ],
  };
}
