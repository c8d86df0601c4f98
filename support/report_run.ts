import { appendFile } from "node:fs/promises";
import path from "node:path";
import { openDataset } from "../src/data/index.js";
import { imagenetPreprocessing } from "../src/data/preprocessing.js";
import type { Graph } from "../src/graph/types.js";
import { pairedDifference, shareInterval } from "../src/measure/interval.js";
import { decompose } from "../src/method/decompose.js";
import { exportModel } from "../src/method/export.js";
import { importForCompression } from "../src/method/import_for_compression.js";
import { pruneCoefficients } from "../src/method/prune.js";
import { shrink } from "../src/method/shrink.js";
import { encodeModel } from "../src/onnx/write.js";
import { appendSession, sessionOf } from "../src/report/data/sessions.js";
import { recordAnswers } from "../src/run/answers.js";
import type { RunConfig } from "../src/run/config.js";
import { RunDirectory } from "../src/run/directory.js";
import { LAYER_TIMES, type LayerTimesRecord } from "../src/run/layer_times.js";
import { fileCounts } from "../src/run/outcome.js";
import type { Summary } from "../src/run/summary.js";
import type { EpochMetrics } from "../src/train/plan.js";
import { runConfig } from "./run_config.js";
import { tinyCnn } from "./tiny_cnn.js";

export interface ReportRunOptions {
  /** What every name in the run ends with. */
  readonly suffix?: string;
  /** The stage to stop behind, in place of a whole run. */
  readonly until?: "simplify" | "decompose";
  readonly config?: Partial<RunConfig>;
}

/** An epoch of a run that nobody trained. */
export function epoch(number: number, more: Partial<EpochMetrics> = {}): EpochMetrics {
  return {
    stage: "retrain",
    phase: number % 2 === 0 ? "bases" : "coefficients",
    epoch: number,
    step: 10 * number,
    learningRate: 0.01 / number,
    loss: 2 / number,
    accuracy: 1 - 0.5 / number,
    validation: 0.9 - 0.4 / number,
    sparsity: 0.1 * number,
    macs: 1000,
    ...more,
  };
}

/** The directory of a run as it is on disk, with networks that were really decomposed, and made-up measurements. */
export async function writeReportRun(
  root: string,
  { suffix = "", until, config = {} }: ReportRunOptions = {},
): Promise<RunDirectory> {
  const original = renamed(tinyCnn(), suffix);
  const given = {
    ...runConfig("fast"),
    data: `synthetic:40${suffix}`,
    model: `/models/tiny${suffix}.onnx`,
    ...config,
  };
  const run = await RunDirectory.create(root, given, original);
  await appendSession(root, sessionOf(["compress", "tiny.onnx", "-o", `run${suffix}`], "0.2.0"));
  const simple = await run.stage("simplify", () => importForCompression(original));
  if (until === "simplify") return run;
  const decomposed = await run.stage("decompose", () => decompose(simple, { basis: 5 }));
  for (const number of [1, 2, 3]) await run.appendMetrics(epoch(number));
  await run.appendMetrics(epoch(1, { stage: "fine-tune", phase: `joint${suffix}` }));
  if (until === "decompose") return run;
  const small = await run.stage("shrink", () => shrink(pruneCoefficients(decomposed, { factor: 1 }).graph));
  const exported = await run.stage("export", async () => (await exportModel(small)).graph);
  await run.writeJson("summary.json", summaryOf(run, original, exported));
  await run.writeJson(LAYER_TIMES, timesOf(original, exported));
  const dataset = await openDataset("synthetic:40", { preprocessing: imagenetPreprocessing });
  const { count } = await dataset.test();
  const classNames = dataset.classNames?.map((name) => name + suffix);
  const [before, after] = [new Int32Array(count), new Int32Array(count).fill(1)];
  await recordAnswers(run, { ...dataset, classNames }, { before, after });
  return run;
}

/** A millisecond for each convolution before, and half of that after. */
function timesOf(original: Graph, exported: Graph): LayerTimesRecord {
  const [before, after] = [original, exported].map((graph) =>
    graph.nodes.filter(({ op }) => op === "Conv").map(({ name }) => name),
  );
  const times = (names: readonly string[] = [], ms: number) => ({
    wholeMs: ms * (names.length + 1),
    layers: names.map((name) => ({ name, ms })),
  });
  return { original: times(before, 1), compressed: times(after, 0.5) };
}

function summaryOf(run: RunDirectory, original: Graph, exported: Graph): Summary {
  const spread = (medianMs: number) => ({
    ...{ medianMs, minMs: medianMs, lowMs: 0.95 * medianMs, highMs: 1.1 * medianMs },
    ...{ runs: 90, roundsMs: [medianMs] },
  });
  const times = (runtime: number, compiled: number) => ({
    ...{
      latencyMs: runtime,
      latencySpread: spread(runtime),
      compiledMs: compiled,
      compiledSpread: spread(compiled),
    },
  });
  const test = (correct: number) => ({ correct, total: 2000, ...shareInterval(correct, 2000) });
  const bytes = (graph: Graph): number => encodeModel(graph, { sparse: true }).byteLength;
  return {
    original: { ...fileCounts(original), bytes: bytes(original), ...times(1.25, 3.5), test: test(1834) },
    compressed: { ...fileCounts(exported), bytes: bytes(exported), ...times(1.125, 1.4), test: test(1811) },
    changes: {
      latency: { value: 0.9, low: 0.85, high: 1.02, differs: false },
      compiled: { value: 0.4, low: 0.39, high: 0.42, differs: true },
      test: pairedDifference(10, 33, 2000),
    },
    model: run.path("model.onnx"),
  };
}

/** All names of nodes and outputs with something behind them. */
function renamed(graph: Graph, suffix: string): Graph {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const rename = (name: string): string => (outputs.has(name) ? name + suffix : name);
  return {
    ...graph,
    nodes: graph.nodes.map((node) => ({
      ...node,
      name: `${node.name === "" ? (node.outputs[0] ?? "") : node.name}${suffix}`,
      outputs: node.outputs.map(rename),
    })),
    outputs: graph.outputs.map((output) => ({ ...output, name: rename(output.name) })),
  };
}

/** Appends an epoch's line as a training does. */
export async function appendEpoch(root: string, metrics: EpochMetrics): Promise<void> {
  await appendFile(path.join(root, "metrics.jsonl"), `${JSON.stringify(metrics)}\n`);
}
