import { holdOut } from "../data/hold_out.js";
import { readModel } from "../files/model_files.js";
import { at } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { evaluate } from "../measure/accuracy.js";
import { pairedDifference } from "../measure/interval.js";
import { type OutputAgreement, OutputComparison } from "../measure/output_comparison.js";
import { runPair } from "../measure/pair.js";
import { type GoalValue, percentOf } from "../method/goal/describe.js";
import type { LossMeasure } from "../method/goal/names.js";
import { comparedOutput, namedOutputs } from "../train/outputs.js";
import type { RunContext } from "./context.js";

/** What a network has lost against the original on the held-out part of the training images. */
export type LossMeter = (network: Graph) => Promise<GoalValue>;

const meters: { readonly [Measure in LossMeasure]: (context: RunContext) => Promise<LossMeter> } = {
  top1: pointsMeter,
  error: errorMeter,
};

export function lossMeter(measure: LossMeasure, context: RunContext): Promise<LossMeter> {
  return meters[measure](context);
}

/** Points of top-1, with the interval of a paired difference: both networks see the same images. */
async function pointsMeter(context: RunContext): Promise<LossMeter> {
  const original = await hitsOf("original", await readModel(context.run.stagePath("original")), context);
  const right = original.filter((hit) => hit === 1).length;
  // Only the user knows what the original was trained on.
  context.listener.notice?.(
    `the original is right on ${percentOf(right / original.length)} of the ${original.length} held-out images; if it was trained on them, a network that was not loses less on new images than on these`,
  );
  return async (network) => {
    const hits = await hitsOf("held-out", network, context);
    const gained = hits.filter((hit, index) => hit > at(original, index)).length;
    const lost = hits.filter((hit, index) => hit < at(original, index)).length;
    const { value, low, high } = pairedDifference(gained, lost, hits.length);
    return { value: points(-value), low: points(-high), high: points(-low) };
  };
}

/** Of 100, without a negative zero. */
function points(share: number): number {
  return 100 * share + 0;
}

async function hitsOf(what: string, network: Graph, context: RunContext): Promise<Uint8Array> {
  const { run, dataset, listener } = context;
  const { settings, preprocessing, seed } = run.config;
  const split = await dataset.train();
  const { validation: indices } = holdOut(split, settings.validation, seed);
  const hits = new Uint8Array(indices.length);
  const onProgress = (done: number, total: number): void => listener.images?.(what, done, total);
  await evaluate(network, split, preprocessing, { threads: settings.threads, indices, hits, onProgress });
  return hits;
}

/** The largest error of the matched outputs. */
async function errorMeter({ run, dataset, listener }: RunContext): Promise<LossMeter> {
  const { settings, preprocessing, seed } = run.config;
  const first = await run.readOriginal();
  const split = await dataset.train();
  const { validation: indices } = holdOut(split, settings.validation, seed);
  const outputs = namedOutputs(settings.loss).map(comparedOutput);
  if (outputs.length === 0) throw new PenniError("internal", "there is no output to compare");
  return async (second) => {
    const comparison = new OutputComparison(outputs);
    let done = 0;
    const pair = { first, second, split, preprocessing, indices, threads: settings.threads };
    for await (const batch of runPair(
      pair,
      outputs.map(({ output }) => output),
    )) {
      comparison.add(batch);
      done += batch.count;
      listener.images?.("held-out", done, indices.length);
    }
    return { value: Math.max(...comparison.results.map(lossOfOutput)) };
  };
}

/** The error of an output; where it is no number, more than any goal allows. */
function lossOfOutput({ error }: OutputAgreement): number {
  return error === null ? Number.MAX_VALUE : error;
}
