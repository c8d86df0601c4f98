import { axisStyle, CHART_WIDTH, type Chart, colours, drawChart } from "./chart.js";
import { shortenStart } from "./html.js";

/** One curve. */
export interface Series {
  readonly name: string;
  /** In the order in which they are joined; what is not finite leaves a gap. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineChartSpec {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
}

const MARGIN = { left: 70, top: 20, bottom: 54, right: 20 } as const;
const PLOT_HEIGHT = 330;
const LEGEND = { width: 210, row: 24, longestName: 28 } as const;

/** Told apart without colour, too: by symbol, and beyond eight series by the kind of line. */
const symbols = ["circle", "rect", "triangle", "diamond"] as const;
const lineTypes = ["solid", "dashed", "dotted"] as const;

const cycle = <Item>(items: readonly [Item, ...Item[]] | readonly Item[], index: number): Item | undefined =>
  items[index % items.length];

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

/** Curves over common axes, a legend beside them. */
export function lineChart({ title, xLabel, yLabel, series }: LineChartSpec): Chart {
  const height = Math.max(
    MARGIN.top + PLOT_HEIGHT + MARGIN.bottom,
    2 * MARGIN.top + LEGEND.row * series.length,
  );
  const hasLegend = series.length > 1;
  const right = MARGIN.right + (hasLegend ? LEGEND.width : 0);
  const axis = { type: "value", scale: true, nameLocation: "middle", ...axisStyle };
  return drawChart(title, height, {
    grid: { ...MARGIN, right, outerBoundsMode: "none" },
    xAxis: { ...axis, name: xLabel, nameGap: 32 },
    yAxis: { ...axis, name: yLabel, nameGap: 48 },
    legend: {
      show: hasLegend,
      orient: "vertical",
      left: CHART_WIDTH - LEGEND.width - 4,
      top: MARGIN.top,
      itemGap: 10,
      itemWidth: 30,
      textStyle: { color: colours.ink, fontSize: 12 },
      formatter: (position: string) => shortenStart(series[Number(position)]?.name ?? "", LEGEND.longestName),
    },
    series: series.map(({ points }, index) => {
      const colour = cycle(colours.series, index);
      const type = lineTypes[Math.floor(index / colours.series.length) % lineTypes.length];
      return {
        // Names need not be unique: positions are.
        name: `${index}`,
        type: "line",
        silent: true,
        data: points.map(([x, y]) => [x, finite(y)]),
        symbol: cycle(symbols, index),
        symbolSize: 7,
        color: colour,
        lineStyle: { color: colour, width: 2, type },
        itemStyle: { color: colour },
        emphasis: { disabled: true },
      };
    }),
  });
}
