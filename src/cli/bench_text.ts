import { isCompiled } from "../measure/bench_engines.js";
import type { EngineFigures } from "../measure/bench_models.js";
import type { BudgetLine } from "../measure/budget.js";
import type { Timing } from "../measure/by_turns.js";
import { gigaflops } from "../measure/gigaflops.js";
import { type Interval, LEAST_ROUNDS, ratioOfRounds } from "../measure/interval.js";
import { terminalLine } from "../text/destinations.js";
import type { Compared, Comparison, MeasuredAccuracy } from "./bench_models.js";
import { type Column, compactNumber, formatTable } from "./table.js";
import { wrap } from "./terminal.js";

/** The speed of one kernel of one layer. */
export interface LayerSpeed {
  readonly node: string;
  readonly op: string;
  readonly kernel: string;
  readonly multiplyAccumulates: number;
  readonly ms: number;
  readonly gflops: number;
}

/** The layers of a model, measured within whole runs. */
export interface LayerSpeeds {
  /** Billions of multiplications and additions a second. */
  readonly peak: number;
  readonly wholeMs: number;
  /** Fastest and slowest of the runs that it is the mean of. */
  readonly wholeRange: Interval;
  /** What of it is in no layer. */
  readonly remainderMs: number;
  readonly runs: number;
  readonly layers: readonly LayerSpeed[];
}

const milliseconds = (value: number): string => value.toFixed(3);

/** A line of the table: a model in an engine. */
interface Measured extends EngineFigures {
  readonly model: string;
  readonly accuracy: MeasuredAccuracy | undefined;
}

const compactOr = (value: number | undefined): string => (value === undefined ? "-" : compactNumber(value));

const figureColumns: readonly Column<Measured>[] = [
  { title: "engine", cell: (line) => line.engine, dropOrder: 0 },
  { title: "median ms", cell: (line) => milliseconds(line.medianMs), align: "right", dropOrder: 0 },
  {
    title: "95 % interval",
    cell: ({ lowMs, highMs }) => `${milliseconds(lowMs)} to ${milliseconds(highMs)}`,
    align: "right",
    dropOrder: 1,
  },
  { title: "min ms", cell: (line) => milliseconds(line.minMs), align: "right", dropOrder: 6 },
  { title: "runs", cell: (line) => `${line.runs}`, align: "right", dropOrder: 7 },
  { title: "bytes", cell: (line) => compactNumber(line.bytes), align: "right", dropOrder: 3 },
  { title: "gzipped", cell: (line) => compactNumber(line.gzippedBytes), align: "right", dropOrder: 2 },
  { title: "memory", cell: (line) => compactOr(line.memoryBytes), align: "right", dropOrder: 4 },
  { title: "MACs", cell: (line) => compactOr(line.multiplyAccumulates), align: "right", dropOrder: 5 },
];

const modelColumn: Column<Measured> = {
  title: "model",
  cell: (line) => terminalLine(line.model),
  dropOrder: 0,
};

/** What `penni bench` prints, in lines of at most `width` characters. */
export function describeComparison({ models, budget = [] }: Comparison, width: number): string {
  const lines = models.flatMap(({ model, engines, accuracy }) =>
    engines.map((engine): Measured => ({ ...engine, model, accuracy })),
  );
  const columns = models.length > 1 ? [modelColumn, ...figureColumns] : figureColumns;
  const texts = [
    ...models.flatMap((model) => [...describeAccuracy(model), ...describeEngines(model)]),
    ...describeModels(models),
    ...budget.map((line) => `Budget: ${describeBudgetLine(line)}: ${line.isKept ? "kept" : "NOT kept"}.`),
  ];
  return [formatTable(columns, lines, width), wrap(texts.join("\n"), width)].join("\n\n");
}

function describeAccuracy({ model, accuracy }: Compared): readonly string[] {
  if (accuracy === undefined) return [];
  const { correct, total, top1, interval } = accuracy;
  const [value, low, high] = [top1, interval.low, interval.high].map((share) => (100 * share).toFixed(2));
  return [
    `${terminalLine(model)}: top-1 ${value} % (${correct} of ${total}), between ${low} and ${high} % with 95 % confidence.`,
  ];
}

/** A model in one engine beside the others. */
function describeEngines({ model, engines, leftOut }: Compared): readonly string[] {
  const [own, ...others] = engines;
  return [
    ...(own === undefined ? [] : others.map((other) => describeRatio(own, other))),
    ...leftOut.map(({ engine, problem }) => `${engine} is left out of ${terminalLine(model)}: ${problem}.`),
  ];
}

/** Compiled models beside the first of them. */
function describeModels(models: readonly Compared[]): readonly string[] {
  const [first, ...others] = models.flatMap(({ model, engines }) =>
    engines.filter(isCompiled).map((engine) => ({ ...engine, engine: `compiled ${terminalLine(model)}` })),
  );
  return first === undefined ? [] : others.map((other) => describeRatio(other, first));
}

const limitNames: Readonly<Record<BudgetLine["what"], string>> = {
  bytes: "bytes of the compiled module",
  gzippedBytes: "bytes of the compiled module, gzipped",
  multiplyAccumulates: "multiply-accumulates",
  memoryBytes: "bytes of memory",
  milliseconds: "milliseconds",
  timeRatio: "times the second model's time",
  top1: "of the answers right (top-1)",
};

/** "123 bytes of the compiled module, at most 100". */
export function describeBudgetLine({ what, limit, found, low, high }: BudgetLine): string {
  const number = (value: number): string => `${Number(value.toPrecision(6))}`;
  const interval = low === undefined || high === undefined ? "" : ` (${number(low)} to ${number(high)})`;
  const seen = found === undefined ? "not known:" : `${number(found)}${interval}`;
  return `${seen} ${limitNames[what]}, at ${what === "top1" ? "least" : "most"} ${number(limit)}`;
}

function describeRatio(own: Timing, other: Timing): string {
  const rounds = Math.min(own.roundsMs.length, other.roundsMs.length);
  const { value, low, high, differs } = ratioOfRounds(other.roundsMs, own.roundsMs);
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const range = `${percent(value)}, between ${percent(low)} and ${percent(high)} in ${rounds} rounds`;
  if (differs) return `The ${own.engine} takes ${range}, of the time of ${other.engine}.`;
  const few = rounds < LEAST_ROUNDS ? `; fewer than ${LEAST_ROUNDS} rounds cannot tell` : "";
  return `No difference measured between the ${own.engine} and ${other.engine} (${range}${few}).`;
}

/** All calls of a kernel for a layer, or all kernels of a kind. */
interface Line {
  readonly name: string;
  readonly kernel: string;
  readonly multiplyAccumulates: number;
  readonly ms: number;
}

/** What `penni bench --layers` prints: every kernel of every layer, then sums by kind of kernel, and the whole. */
export function describeLayerSpeeds(
  { peak, wholeMs, wholeRange, remainderMs, runs, layers }: LayerSpeeds,
  width: number,
): string {
  const remainder: Line = {
    name: nameOfRemainder(remainderMs),
    kernel: "",
    multiplyAccumulates: 0,
    ms: remainderMs,
  };
  const table = (lines: readonly Line[], title: string): string =>
    formatTable(columns(title, wholeMs, peak), [...lines, remainder], width);
  const byLayer = gather(layers, ({ node, kernel }) => ({ name: node, kernel }));
  const byKind = gather(layers, ({ kernel }) => ({ name: kernel.replace(/_?\d.*$/, ""), kernel: "" }));
  const closing =
    `${milliseconds(wholeMs)} ms for a whole run (${milliseconds(wholeRange.low)} to ${milliseconds(wholeRange.high)} in those ` +
    `that nothing disturbed), ${milliseconds(wholeMs - remainderMs)} ms of it in layers, each measured ` +
    `in its place in ${runs} runs; this machine's peak is ${peak.toFixed(1)} GFLOP/s (multiply-adds of 128-bit vectors in ` +
    "registers).";
  return [table(byLayer, "layer"), table(byKind, "all kernels"), wrap(closing, width)].join("\n\n");
}

/** Copies of inputs and outputs, calls; but where the clock is read at many short steps, that costs more. */
const nameOfRemainder = (ms: number): string => (ms < 0 ? "(reading the clock)" : "(in no layer)");

function columns(title: string, total: number, peak: number): readonly Column<Line>[] {
  const speed = (line: Line): number => gigaflops(line.multiplyAccumulates, line.ms);
  const ifComputing = (line: Line, text: string): string => (line.multiplyAccumulates === 0 ? "" : text);
  return [
    { title, cell: (line) => line.name, dropOrder: 0 },
    { title: "kernel", cell: (line) => line.kernel, dropOrder: 2 },
    { title: "ms", cell: (line) => line.ms.toFixed(3), align: "right", dropOrder: 0 },
    {
      title: "time",
      cell: (line) => `${((100 * line.ms) / total).toFixed(1)} %`,
      align: "right",
      dropOrder: 3,
    },
    {
      title: "MACs",
      cell: (line) => ifComputing(line, compactNumber(line.multiplyAccumulates)),
      align: "right",
      dropOrder: 4,
    },
    {
      title: "GFLOP/s",
      cell: (line) => ifComputing(line, speed(line).toFixed(1)),
      align: "right",
      dropOrder: 0,
    },
    {
      title: "of peak",
      cell: (line) => ifComputing(line, `${((100 * speed(line)) / peak).toFixed(0)} %`),
      align: "right",
      dropOrder: 1,
    },
  ];
}

function gather(
  layers: readonly LayerSpeed[],
  keyOf: (layer: LayerSpeed) => { readonly name: string; readonly kernel: string },
): readonly Line[] {
  const lines = new Map<string, Line>();
  for (const layer of layers) {
    const key = keyOf(layer);
    const id = JSON.stringify(key);
    const known = lines.get(id) ?? { ...key, multiplyAccumulates: 0, ms: 0 };
    lines.set(id, {
      ...known,
      multiplyAccumulates: known.multiplyAccumulates + layer.multiplyAccumulates,
      ms: known.ms + layer.ms,
    });
  }
  return [...lines.values()];
}
