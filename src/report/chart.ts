import { CustomChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent } from "echarts/components";
import { type EChartsCoreOption, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { escapeHtml, type Html, withoutControls } from "../text/destinations.js";

use([LineChart, CustomChart, GridComponent, LegendComponent, SVGRenderer]);

/** A picture for a page. */
export interface Chart {
  /** Plain text, shown above the picture. */
  readonly title: string;
  /** An `<svg>` element. Its colours are the page's CSS variables, so that it follows light and dark. */
  readonly svg: Html;
}

/** Width of every picture in its own units, which are pixels where there is room. */
export const CHART_WIDTH = 880;

/** Colours by CSS variable; `page` defines them for light, dark and print. */
export const colours = {
  ink: "var(--ink)",
  rule: "var(--rule)",
  series: Array.from({ length: 8 }, (_, index) => `var(--series-${index + 1})`),
} as const;

/** What all axes have in common. */
export const axisStyle = {
  axisLine: { lineStyle: { color: colours.rule } },
  axisTick: { lineStyle: { color: colours.rule } },
  axisLabel: { color: colours.ink, fontSize: 12 },
  splitLine: { lineStyle: { color: colours.rule } },
  nameTextStyle: { color: colours.ink, fontSize: 13 },
} as const;

/** Draws a chart without a browser. */
export function drawChart(title: string, height: number, option: EChartsCoreOption): Chart {
  const chart = init(null, null, { renderer: "svg", ssr: true, width: CHART_WIDTH, height });
  try {
    const common = { animation: false, textStyle: { fontFamily: "inherit", color: colours.ink } };
    chart.setOption({ ...common, ...option });
    return { title, svg: forPage(chart.renderToSVGString(), title) };
  } finally {
    chart.dispose();
  }
}

/** The chart library escapes texts itself. Without the size, so that the page decides; without rules for the mouse, which would apply to the whole page. */
function forPage(svg: string, title: string): Html {
  return withoutControls(svg)
    .replace(/^<svg width="\d+" height="\d+"/, `<svg role="img" aria-label="${escapeHtml(title)}"`)
    .replace(/<style\b[^>]*>.*?<\/style>/gs, "")
    .replaceAll(/ class="zr[^"]*"/g, "") as Html;
}
