import { likeness } from "../measure/likeness.js";
import type { Summary } from "../run/summary.js";
import type { Direction } from "../search/study.js";

/** A figure by which trials are compared. */
interface Metric {
  readonly direction: Direction;
  /** Undefined where the run has no such figure. */
  readonly of: (summary: Summary) => number | undefined;
}

const metrics = {
  /** Top-1 on the test split, a share; without labels, the share of answers that are the original's (`likeness`). */
  quality: {
    direction: "maximize",
    of: ({ compressed: { test }, agreement }) => {
      if (test !== undefined) return test.correct / test.total;
      if (agreement === undefined || agreement.outputs.length === 0) return undefined;
      return agreement.outputs.reduce((least, output) => Math.min(least, likeness(output)), 1);
    },
  },
  /** Multiply-accumulates, paper count. */
  macs: { direction: "minimize", of: ({ compressed }) => compressed.paperMacs },
  bytes: { direction: "minimize", of: ({ compressed }) => compressed.bytes },
  /** Measured milliseconds, compiled to WebAssembly. */
  compiledMs: { direction: "minimize", of: ({ compressed }) => compressed.compiledMs },
  /** Measured milliseconds in ONNX Runtime. */
  latencyMs: { direction: "minimize", of: ({ compressed }) => compressed.latencyMs },
  parameters: { direction: "minimize", of: ({ compressed }) => compressed.parameters },
} as const satisfies Readonly<Record<string, Metric>>;

export type MetricName = keyof typeof metrics;

export const metricNames = Object.keys(metrics) as [MetricName, ...MetricName[]];

/** What is weighed against the quality. */
export const costNames = ["macs", "bytes", "compiledMs"] as const satisfies readonly MetricName[];

export const directionOf = (name: MetricName): Direction => metrics[name].direction;

/** A finite figure of a run, or undefined. */
export function metricOf(name: MetricName, summary: Summary): number | undefined {
  const value = metrics[name].of(summary);
  return value !== undefined && Number.isFinite(value) ? value : undefined;
}
