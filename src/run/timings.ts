import type { Graph } from "../graph/types.js";
import { measureCompiledLatency } from "../measure/compiled_latency.js";
import { type Change, ratioOfRounds } from "../measure/interval.js";
import { measureLatency } from "../measure/latency.js";
import type { Spread } from "../measure/rounds.js";
import type { Figures } from "./summary.js";

type Times = Pick<Figures, "latencyMs" | "latencySpread" | "compiledMs" | "compiledSpread">;

/** Times of both networks of a run, and how they changed. */
export interface Timings {
  readonly original: Times;
  readonly compressed: Times;
  readonly latency: Change;
  /** Absent where one of them cannot be compiled. */
  readonly compiled?: Change;
}

/** One thread: with more, a small network's time falls into one of two groups by chance, twice as far apart. */
export const LATENCY_THREADS = 1;
const LATENCY_RUNS = 200;

/** What is timed, in order: of large networks each takes up to a minute, in which nothing else is to be seen. */
export const timedKinds = ["in ONNX Runtime", "compiled", "of layers"] as const;

/**
 * Times the original and the compressed network by turns, in ONNX Runtime and compiled.
 * @param tell which comes next
 */
export async function measureTimes(
  original: Graph,
  compressed: Graph,
  tell: (kind: (typeof timedKinds)[number]) => void,
): Promise<Timings> {
  const graphs = [original, compressed];
  tell("in ONNX Runtime");
  const runtime = await measureLatency(graphs, { threads: LATENCY_THREADS, runs: LATENCY_RUNS });
  tell("compiled");
  const compiled = await measureCompiledLatency(graphs);
  const latencies = pairOf(runtime);
  const compilations = compiled === undefined ? undefined : pairOf(compiled);
  return {
    original: timesOf(latencies[0], compilations?.[0]),
    compressed: timesOf(latencies[1], compilations?.[1]),
    latency: changeOf(latencies),
    ...(compilations === undefined ? {} : { compiled: changeOf(compilations) }),
  };
}

type Pair = readonly [before: Spread, after: Spread];

function pairOf([before, after]: readonly Spread[]): Pair {
  if (before !== undefined && after !== undefined) return [before, after];
  throw new Error("two networks have two times");
}

function changeOf([before, after]: Pair): Change {
  return ratioOfRounds(before.roundsMs, after.roundsMs);
}

function timesOf(runtime: Spread, compiled: Spread | undefined): Times {
  const latency = { latencyMs: runtime.medianMs, latencySpread: runtime };
  return compiled === undefined
    ? latency
    : { ...latency, compiledMs: compiled.medianMs, compiledSpread: compiled };
}
