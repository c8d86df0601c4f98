import { allIndices } from "../data/batches.js";
import { sampleIndices } from "../data/hold_out.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { evaluate } from "../measure/accuracy.js";
import { BoxTally } from "../measure/box_tally.js";
import { scoredClasses, statedNames } from "../measure/classes.js";
import { countGraph } from "../measure/count.js";
import { outputDifferences } from "../measure/difference.js";
import { ImageChoices } from "../measure/image_choices.js";
import { type Change, pairedDifference, shareInterval } from "../measure/interval.js";
import { type OutputAgreement, OutputComparison } from "../measure/output_comparison.js";
import { outputParts } from "../measure/output_parts.js";
import { runPair } from "../measure/pair.js";
import { importForCompression, withKnownConstants } from "../method/import_for_compression.js";
import { encodedSize } from "../onnx/write.js";
import { importModel } from "../ops/passes/import_model.js";
import { weightsTypeOf } from "../ops/passes/store_weights.js";
import { comparedOutput, namedOutputs } from "../train/outputs.js";
import { recordAnswers, recordChoices } from "./answers.js";
import type { RunConfig } from "./config.js";
import type { RunContext } from "./context.js";
import { recordLayerTimes } from "./layer_times.js";
import type { Costs } from "./never_larger.js";
import { tellImages } from "./stoppable.js";
import type { Figures, Summary } from "./summary.js";
import { measureTimes, timedKinds } from "./timings.js";

/**
 * Outputs of the exported and of the unshrunk network may differ by this share of the largest, or of 1. Weights that
 * are stored as float16 are rounded at the eleventh bit, those of int8 at the seventh or eighth.
 */
const EXPORT_TOLERANCE = { float32: 1e-3, float16: 2e-2, int8: 0.25 } as const;
const AGREEMENT_IMAGES = 256;
/** Counts of a network for one image. */
export function counts(graph: Graph): Pick<Figures, "parameters" | "paperMacs" | "executedMacs"> {
  const { parameters, paperMacs, executedMacs } = countGraph(fixBatch(graph, 1));
  return { parameters, paperMacs, executedMacs };
}

/**
 * Counts of a model's file for one image. What is executed is counted of the file as it is, everything else of what
 * compressing it would start from, so that a result's counts are those that it has as an original.
 */
export function fileCounts(model: Graph): ReturnType<typeof counts> {
  const { executedMacs } = counts(withKnownConstants(importModel(model)));
  return { ...counts(importForCompression(model)), executedMacs };
}

/** What both networks cost: the model as it came in and as it was written. */
export function costsOf(
  original: Graph,
  exported: { readonly graph: Graph; readonly bytes: number },
  { modelBytes }: RunConfig,
): { readonly original: Costs; readonly compressed: Costs } {
  return {
    original: { ...fileCounts(original), bytes: modelBytes ?? encodedSize(original) },
    compressed: { ...fileCounts(exported.graph), bytes: exported.bytes },
  };
}

/** Refuses an export whose outputs differ from those of the network before shrinking. */
export async function checkExport(
  unshrunk: Graph,
  exported: Graph,
  { run, dataset }: RunContext,
): Promise<void> {
  const split = await dataset.train();
  const indices = sampleIndices(allIndices(split), AGREEMENT_IMAGES, run.config.seed);
  const { preprocessing, settings } = run.config;
  const first = unshrunk.outputs.slice(0, 1);
  const outputs = settings.loss.outputs?.map(({ output }) => output) ?? first.map(({ name }) => name);
  const pair = { first: unshrunk, second: exported, split, preprocessing, indices };
  const weights = weightsTypeOf(exported);
  const share = EXPORT_TOLERANCE[weights];
  // Roundings to int8 move a few of many scores by more than a quarter: there only what is grossly wrong is one.
  const parts = weights === "int8" ? undefined : outputParts(unshrunk);
  for (const { output, difference, magnitude } of await outputDifferences(pair, outputs, parts)) {
    const tolerance = share * Math.max(1, magnitude);
    if (difference <= tolerance) continue;
    throw new PenniError("internal", "the exported network does not compute what the trained one does", {
      expected: `values of output "${output}" within ${tolerance}`,
      found: `a difference of ${difference}`,
      advice: "This is a fault of Penni; please report it with the model",
    });
  }
}

/** What the run has come to, on the test images. */
export async function summarize(
  original: Graph,
  exported: { readonly graph: Graph; readonly bytes: number },
  context: RunContext,
): Promise<Summary> {
  const { run, listener } = context;
  const tell = (kind: (typeof timedKinds)[number]): void =>
    listener.times?.(kind, timedKinds.indexOf(kind), timedKinds.length);
  const times = await measureTimes(original, exported.graph, tell);
  const known = costsOf(original, exported, run.config);
  const costs = {
    original: { ...known.original, ...times.original },
    compressed: {
      ...known.compressed,
      ...times.compressed,
    },
  };
  const model = run.path("model.onnx");
  if (times.compiled !== undefined) {
    tell("of layers");
    await recordLayerTimes(run, original, exported.graph, known.original);
  }
  const { latency, compiled } = times;
  const changes = { latency, ...(compiled === undefined ? {} : { compiled }) };
  if (run.config.reference === "original")
    return { ...costs, agreement: await compare(original, exported.graph, context), changes, model };
  const before = await accuracy("original", original, context);
  const after = await accuracy("compressed", exported.graph, context);
  await recordAnswers(run, context.dataset, { before: before.answers, after: after.answers });
  return {
    original: { ...costs.original, test: before.test },
    compressed: { ...costs.compressed, test: after.test },
    changes: { ...changes, test: changeOfHits(before.hits, after.hits) },
    model,
  };
}

async function accuracy(
  what: string,
  graph: Graph,
  context: RunContext,
): Promise<{
  readonly test: NonNullable<Figures["test"]>;
  readonly hits: Uint8Array;
  readonly answers: Int32Array;
}> {
  const { run, dataset } = context;
  const { threads } = run.config.settings;
  const onProgress = (done: number, total: number): void => tellImages(context, what, done, total);
  const test = await dataset.test();
  const hits = new Uint8Array(test.count);
  const answers = new Int32Array(test.count);
  const settings = { threads, onProgress, hits, answers };
  const { correct, total } = await evaluate(graph, test, run.config.preprocessing, settings);
  const classes = scoredClasses(graph)?.classes;
  const known = classes === undefined ? {} : { classes };
  return { test: { correct, total, ...shareInterval(correct, total), ...known }, hits, answers };
}

/** Of the share of images that are right; both networks saw the same. */
function changeOfHits(before: Uint8Array, after: Uint8Array): Change {
  const gained = before.filter((hit, index) => hit === 0 && after[index] === 1).length;
  const lost = before.filter((hit, index) => hit === 1 && after[index] === 0).length;
  return pairedDifference(gained, lost, before.length);
}

/** How well the matched outputs agree on the test images. */
async function compare(
  first: Graph,
  second: Graph,
  context: RunContext,
): Promise<NonNullable<Summary["agreement"]>> {
  const { run, dataset } = context;
  const { preprocessing, settings } = run.config;
  const split = await dataset.test();
  const outputs = namedOutputs(settings.loss).map(comparedOutput);
  const names = outputs.map(({ output }) => output);
  const comparison = new OutputComparison(outputs);
  const choices = new ImageChoices(outputs);
  const boxes = new BoxTally(first, names, preprocessing.layout);
  const pair = {
    first,
    second,
    split,
    preprocessing,
    indices: allIndices(split),
    threads: settings.threads,
  };
  let images = 0;
  for await (const batch of runPair(pair, names)) {
    comparison.add(batch);
    choices.add(batch);
    boxes.add(batch);
    images += batch.count;
    tellImages(context, "original and compressed", images, split.count);
  }
  const chosen = choices.results;
  if (chosen !== undefined) await recordChoices(run, split, statedNames(first), chosen);
  return { images, outputs: withBoxes(comparison.results, boxes.result) };
}

/** A detector's first output holds its boxes. */
function withBoxes(
  [first, ...others]: readonly OutputAgreement[],
  found: BoxTally["result"],
): readonly OutputAgreement[] {
  return first === undefined ? others : [{ ...first, ...found }, ...others];
}
