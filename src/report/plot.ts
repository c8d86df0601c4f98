import { type ScaleLinear, scaleLinear } from "d3-scale";
import { line } from "d3-shape";
import { at, orDefault } from "../graph/at.js";
import { escapeHtml, type Html, html } from "../text/destinations.js";
import { number } from "./format.js";
import { shortenStart } from "./html.js";
import { type PlacedName, placeNames } from "./point_names.js";

export interface PlotPoint {
  readonly x: number;
  /** What is not finite leaves a gap. */
  readonly y: number;
  /** Where the true value lies with 95 % confidence. */
  readonly low?: number;
  readonly high?: number;
  /** What is said of the point besides its numbers. */
  readonly label?: string;
  /** Where a click leads to. */
  readonly link?: string;
}

export interface PlotSeries {
  readonly name: string;
  /** In the order in which they are joined. */
  readonly points: readonly PlotPoint[];
  /** Whether a line joins the points (true). */
  readonly isJoined?: boolean;
}

/** A stretch of the horizontal axis with a name. */
export interface PlotBand {
  readonly from: number;
  readonly to: number;
  readonly name: string;
}

export interface PlotSpec {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly PlotSeries[];
  readonly bands?: readonly PlotBand[];
  /** Whether places on the horizontal axis are counted: no fractions between them. */
  readonly isCounted?: boolean;
  /** Of numbers on the axes and of points. */
  readonly xText?: (value: number) => string;
  readonly yText?: (value: number) => string;
  /** Where the vertical axis must begin and end at least. */
  readonly yRange?: readonly [low: number, high: number];
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Drawn twice, so that texts have their size on wide and narrow screens; the page shows one of them. */
const sizes: Readonly<Record<"wide" | "narrow", Size>> = {
  wide: { width: 560, height: 290 },
  narrow: { width: 340, height: 250 },
};

const MARGIN = { right: 16, top: 22, bottom: 42 } as const;
/** Of a character on an axis, in pixels. */
const CHARACTER = 6.7;
/** Series are told apart by colour, by shape and by line; there are so many colours. */
const COLOURS = 8;
const dashes = ["none", "6 3", "2 3"] as const;
const LONGEST_NAME = 40;
/** More points of a series have no names beside them. */
const MOST_NAMES = 10;
const LONGEST_POINT = 14;

interface Scales {
  /** Room for the numbers of the vertical axis. */
  readonly left: number;
  readonly x: ScaleLinear<number, number>;
  readonly y: ScaleLinear<number, number>;
}

/** Curves or points over common axes, with a legend and a table of all numbers. */
export function plot(spec: PlotSpec): Html {
  const drawn = (["wide", "narrow"] as const).map((kind) => drawing(spec, sizes[kind], kind));
  return html`<figure class="plot">
<figcaption>${escapeHtml(spec.title)} <span>${escapeHtml(spec.yLabel)}</span></figcaption>
${legend(spec)}
${drawn}
${numbers(spec)}
</figure>`;
}

const asIs = (value: number): string => `${Number(value.toPrecision(4))}`;

function scalesOf({ series, bands = [], yRange, yText = asIs }: PlotSpec, { width, height }: Size): Scales {
  const points = series.flatMap((one) => one.points);
  const xs = [...points.map(({ x }) => x), ...bands.flatMap(({ from, to }) => [from, to])];
  const ys = [
    ...points.flatMap(({ y, low = y, high = y }) => [y, low, high]),
    ...(yRange === undefined ? [] : yRange),
  ];
  const y = scaleLinear(extent(ys), [height - MARGIN.bottom, MARGIN.top]).nice(5);
  const longest = y.ticks(5).reduce((most, tick) => Math.max(most, yText(tick).length), 0);
  const left = 14 + CHARACTER * longest;
  return {
    left,
    y,
    x: scaleLinear(
      extent(
        xs,
        series.some(({ isJoined }) => isJoined === false),
      ),
      [left, width - MARGIN.right],
    ),
  };
}

/** Room beside the outermost points, as a share of the axis. */
const EDGE = 0.06;

/** Never empty, never a single value. @param isWide with room beside the outermost values */
function extent(values: readonly number[], isWide = false): [number, number] {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return [0, 1];
  const [low, high] = [finite.reduce((a, b) => Math.min(a, b)), finite.reduce((a, b) => Math.max(a, b))];
  if (low < high) return isWide ? [low - EDGE * (high - low), high + EDGE * (high - low)] : [low, high];
  const room = Math.abs(low) * 0.05 || 0.5;
  return [low - room, high + room];
}

function drawing(spec: PlotSpec, size: Size, kind: keyof typeof sizes): Html {
  const scales = scalesOf(spec, size);
  const { width, height } = size;
  const names = namesOf(spec, scales, width);
  return html`<svg class="${escapeHtml(kind)}" viewBox="0 0 ${number(width)} ${number(height)}" role="img" aria-label="${escapeHtml(spec.title)}">
${bandsOf(spec, scales, size)}
${axes(spec, scales, size)}
${spec.series.map((series, index) => seriesOf(series, index, scales, names))}
${readings(spec, scales, size)}
${links(spec, scales)}
</svg>`;
}

function bandsOf({ bands = [] }: PlotSpec, { x }: Scales, { height }: Size): readonly Html[] {
  return bands.map(({ from, to, name }, index) => {
    const [left, right] = [x(from), x(to)];
    const room = Math.floor((right - left) / 6.2);
    const text = room < 4 ? "" : shortenEnd(name, room);
    const shade = html`<rect class="${escapeHtml(index % 2 === 0 ? "band" : "band odd")}" x="${number(left)}" y="${number(MARGIN.top)}" width="${number(Math.max(0, right - left))}" height="${number(height - MARGIN.top - MARGIN.bottom)}"/>`;
    return html`${shade}<text class="band-name" x="${number((left + right) / 2)}" y="14">${escapeHtml(text)}</text>`;
  });
}

const shortenEnd = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}\u2026`;

function axes(spec: PlotSpec, { left, x, y }: Scales, { width, height }: Size): readonly Html[] {
  const { xText = asIs, yText = asIs, xLabel, isCounted = false } = spec;
  const bottom = height - MARGIN.bottom;
  const right = width - MARGIN.right;
  const rows = y.ticks(5).map((tick) => {
    const at = number(y(tick));
    return html`<path class="grid" d="M${number(left)} ${at}H${number(right)}"/><text class="tick y" x="${number(left - 7)}" y="${at}">${escapeHtml(yText(tick))}</text>`;
  });
  const ticks = x.ticks(Math.max(3, Math.floor(width / 115)));
  const columns = ticks
    .filter((tick) => !isCounted || Number.isInteger(tick))
    .map((tick) => {
      const at = number(x(tick));
      return html`<path class="mark" d="M${at} ${number(bottom)}v4"/><text class="tick x" x="${at}" y="${number(bottom + 17)}">${escapeHtml(xText(tick))}</text>`;
    });
  return [
    ...rows,
    html`<path class="axis" d="M${number(left)} ${number(bottom)}H${number(right)}"/>`,
    ...columns,
    html`<text class="name x" x="${number((left + right) / 2)}" y="${number(height - 6)}">${escapeHtml(xLabel)}</text>`,
  ];
}

const colourOf = (index: number): Html => escapeHtml(`series-${(index % COLOURS) + 1}`);
const dashOf = (index: number): Html => escapeHtml(at(dashes, Math.floor(index / COLOURS) % dashes.length));

type Names = ReadonlyMap<PlotPoint, PlacedName>;

/** What stands beside which point. */
function namesOf({ series }: PlotSpec, { x, y }: Scales, width: number): Names {
  const points = series.flatMap(({ points: all }) => {
    const visible = all.filter((point) => Number.isFinite(point.y));
    return visible.length > MOST_NAMES ? [] : visible.filter(({ label }) => label !== undefined);
  });
  const wanted = points.map((point) => ({
    x: x(point.x),
    y: y(point.y),
    text: shortenStart(orDefault(point.label, ""), LONGEST_POINT),
  }));
  const placed = placeNames(wanted, width);
  return new Map(
    points.flatMap((point, index) => {
      const name = placed[index];
      return name === undefined ? [] : [[point, name] as const];
    }),
  );
}

function seriesOf(
  { points, isJoined = true }: PlotSeries,
  index: number,
  { x, y }: Scales,
  placed: Names,
): Html {
  const path = line<PlotPoint>(
    (point) => x(point.x),
    (point) => y(point.y),
  ).defined((point) => Number.isFinite(point.y));
  // Null where no point can be drawn.
  const curve = isJoined ? path(points) : null;
  const visible = points.filter((point) => Number.isFinite(point.y));
  const whiskers = visible.flatMap(({ x: at, low, high }) =>
    low === undefined || high === undefined
      ? []
      : [
          html`<path class="whisker" d="M${number(x(at))} ${number(y(low))}V${number(y(high))}m-4 0h8M${number(x(at) - 4)} ${number(y(low))}h8"/>`,
        ],
  );
  const marks = visible.map((point) =>
    symbol(index, x(point.x), y(point.y), visible.length > 40 ? 1.6 : 3.6),
  );
  const names = visible.flatMap((point) => {
    const name = placed.get(point);
    if (name === undefined) return [];
    const anchor = name.anchor === "end" ? html` text-anchor="end"` : html``;
    return [
      html`<text class="point-name"${anchor} x="${number(name.x)}" y="${number(name.y)}">${escapeHtml(name.text)}</text>`,
    ];
  });
  return html`<g class="${colourOf(index)}"><path class="curve" d="${escapeHtml(curve === null ? "" : curve)}" stroke-dasharray="${dashOf(index)}"/>${whiskers}${marks}${names}</g>`;
}

/** A circle, square, triangle or diamond by turns. */
function symbol(index: number, x: number, y: number, size: number): Html {
  const [at, level, r] = [number(x), number(y), number(size)];
  const side = number(2 * size);
  switch (index % 4) {
    case 0:
      return html`<circle class="dot" cx="${at}" cy="${level}" r="${r}"/>`;
    case 1:
      return html`<rect class="dot" x="${number(x - size)}" y="${number(y - size)}" width="${side}" height="${side}"/>`;
    case 2:
      return html`<path class="dot" d="M${at} ${number(y - 1.3 * size)}l${number(1.25 * size)} ${number(2.2 * size)}h${number(-2.5 * size)}z"/>`;
    default:
      return html`<path class="dot" d="M${at} ${number(y - 1.35 * size)}l${number(1.35 * size)} ${number(1.35 * size)}l${number(-1.35 * size)} ${number(1.35 * size)}l${number(-1.35 * size)} ${number(-1.35 * size)}z"/>`;
  }
}

/** What is said at each place of the horizontal axis: shown under the mouse without any script, or by arrow keys. */
function readings(spec: PlotSpec, { left: start, x }: Scales, { width, height }: Size): readonly Html[] {
  const places = [...new Set(spec.series.flatMap(({ points }) => points.map((point) => point.x)))].sort(
    (a, b) => a - b,
  );
  const bottom = height - MARGIN.bottom;
  return places.map((place, index) => {
    const at = x(place);
    const from = index === 0 ? start : (x(places[index - 1] ?? place) + at) / 2;
    const to = index === places.length - 1 ? width - MARGIN.right : (x(places[index + 1] ?? place) + at) / 2;
    const lines = readingLines(spec, place);
    const tipWidth = Math.min(
      width - 8,
      16 + 6.4 * lines.reduce((most, { length }) => Math.max(most, length), 0),
    );
    const left = Math.max(
      4,
      Math.min(width - tipWidth - 4, at + 10 + tipWidth > width ? at - tipWidth - 10 : at + 10),
    );
    const texts = lines.map(
      (text, row) =>
        html`<text class="${escapeHtml(row === 0 ? "head" : "value")}" x="${number(left + 8)}" y="${number(MARGIN.top + 20 + 16 * row)}">${escapeHtml(text)}</text>`,
    );
    return html`<g class="at"><rect class="hit" x="${number(from - 1)}" y="${number(MARGIN.top)}" width="${number(Math.max(2, to - from + 2))}" height="${number(bottom - MARGIN.top)}"/><g class="tip"><path class="rule" d="M${number(at)} ${number(MARGIN.top)}V${number(bottom)}"/><rect class="box" x="${number(left)}" y="${number(MARGIN.top + 4)}" width="${number(tipWidth)}" height="${number(14 + 16 * lines.length)}" rx="5"/>${texts}</g></g>`;
  });
}

/** In pixels, around a point: what can be hit. */
const LINK_RADIUS = 9;

/** Above everything else, so that a click reaches them. */
function links({ series, yText = asIs }: PlotSpec, { x, y }: Scales): readonly Html[] {
  return series.flatMap(({ name, points }) =>
    points.flatMap((point) => {
      const { link, label = name } = point;
      if (link === undefined || !Number.isFinite(point.y)) return [];
      const title = escapeHtml(`${label}: ${yText(point.y)}`);
      return [
        html`<a href="${escapeHtml(link)}" aria-label="${title}"><circle cx="${number(x(point.x))}" cy="${number(y(point.y))}" r="${number(LINK_RADIUS)}" fill="transparent"><title>${title}</title></circle></a>`,
      ];
    }),
  );
}

const MOST_READINGS = 9;

function readingLines(
  { series, xLabel, xText = asIs, yText = asIs }: PlotSpec,
  place: number,
): readonly string[] {
  const found = series.flatMap(({ name, points }) =>
    points
      .filter((point) => point.x === place && Number.isFinite(point.y))
      .map((point) => `${point.label ?? shortenStart(name, 30)}: ${yText(point.y)}${interval(point, yText)}`),
  );
  const shown =
    found.length > MOST_READINGS
      ? [...found.slice(0, MOST_READINGS), `and ${found.length - MOST_READINGS} more`]
      : found;
  return [`${xLabel} ${xText(place)}`, ...shown];
}

function interval({ low, high }: PlotPoint, text: (value: number) => string): string {
  return low === undefined || high === undefined ? "" : ` (${text(low)} to ${text(high)})`;
}

function legend({ series }: PlotSpec): Html {
  if (series.length < 2) return html``;
  const items = series.map(({ name, points }, index) =>
    points.length === 0
      ? html``
      : html`<li class="${colourOf(index)}"><svg viewBox="0 0 26 12" aria-hidden="true"><path class="curve" d="M1 6h24" stroke-dasharray="${dashOf(index)}"/>${symbol(index, 13, 6, 3.6)}</svg>${escapeHtml(shortenStart(name, LONGEST_NAME))}</li>`,
  );
  return html`<ul class="legend">${items}</ul>`;
}

/** A text that leads somewhere, if there is somewhere to go. */
export function linked(text: string, link: string | undefined): Html {
  return link === undefined ? escapeHtml(text) : html`<a href="${escapeHtml(link)}">${escapeHtml(text)}</a>`;
}

/** All numbers of the drawing, for those who do not see it or want to copy them. */
function numbers({ title, series, xLabel, xText = asIs, yText = asIs }: PlotSpec): Html {
  const rows = series.flatMap(({ name, points }) =>
    points.map(
      (point) =>
        html`<tr><th scope="row">${linked(point.label ?? name, point.link)}</th><td>${escapeHtml(xText(point.x))}</td><td>${escapeHtml(Number.isFinite(point.y) ? `${yText(point.y)}${interval(point, yText)}` : "not finite")}</td></tr>`,
    ),
  );
  return html`<details class="numbers"><summary>Numbers</summary><div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(`Numbers: ${title}`)}"><table><thead><tr><th scope="col">Curve or point</th><th scope="col">${escapeHtml(xLabel)}</th><th scope="col">Value</th></tr></thead><tbody>
${rows}
</tbody></table></div></details>`;
}
