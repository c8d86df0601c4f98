import type { Timing } from "../measure/by_turns.js";
import { gigaflops } from "../measure/gigaflops.js";
import { type Column, compactNumber, formatTable } from "./table.js";

/** The speed of one kernel of one layer. */
export interface LayerSpeed {
  readonly node: string;
  readonly op: string;
  readonly kernel: string;
  readonly multiplyAccumulates: number;
  readonly ms: number;
  readonly gflops: number;
}

const timingColumns: readonly Column<Timing>[] = [
  { title: "engine", cell: (timing) => timing.engine, dropOrder: 0 },
  { title: "median ms", cell: (timing) => timing.medianMs.toFixed(3), align: "right", dropOrder: 0 },
  { title: "min ms", cell: (timing) => timing.minMs.toFixed(3), align: "right", dropOrder: 1 },
];

export function describeTimings(timings: readonly Timing[], width: number): string {
  return formatTable(timingColumns, timings, width);
}

/** All calls of a kernel for a layer, or all kernels of a kind. */
interface Line {
  readonly name: string;
  readonly kernel: string;
  readonly multiplyAccumulates: number;
  readonly ms: number;
}

/** What `penni bench --layers` prints: every kernel of every layer, then sums by kind of kernel. */
export function describeLayerSpeeds(
  { peak, layers }: { readonly peak: number; readonly layers: readonly LayerSpeed[] },
  width: number,
): string {
  const total = layers.reduce((sum, { ms }) => sum + ms, 0);
  const table = (lines: readonly Line[], title: string): string =>
    formatTable(columns(title, total, peak), lines, width);
  const byLayer = gather(layers, ({ node, kernel }) => ({ name: node, kernel }));
  const byKind = gather(layers, ({ kernel }) => ({ name: kernel.replace(/_?\d.*$/, ""), kernel: "" }));
  return [
    table(byLayer, "layer"),
    table(byKind, "all kernels"),
    `${total.toFixed(3)} ms in all, each kernel alone; this machine's peak is ${peak.toFixed(1)} GFLOP/s ` +
      "(multiply-adds of 128-bit vectors in registers).",
  ].join("\n\n");
}

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
