import path from "node:path";
import { writeFileAtomic } from "../../files/atomic.js";
import type { Graph } from "../../graph/types.js";
import { measureLatency } from "../../measure/latency.js";
import { COMPRESSION_KEY } from "../../method/compression_record.js";
import { type ExportOptions, exportModel } from "../../method/export.js";
import { writtenBytes } from "../../method/goal/cost.js";
import { askedCriterion } from "../../method/goal/criterion.js";
import type { WriteOptions, WrittenNetwork } from "../../method/goal/pruned_search.js";
import { shrink } from "../../method/shrink.js";
import { encodedSize } from "../../onnx/write.js";
import { foldNormalization } from "../../ops/passes/fold_normalization.js";
import { weightsTypeOf } from "../../ops/passes/store_weights.js";
import type { RunConfig } from "../config.js";
import type { RunContext } from "../context.js";
import { outputNames } from "../labels.js";
import { checkExport, counts, fileCounts } from "../outcome.js";
import { joinRest } from "../rest.js";
import { LATENCY_THREADS } from "../timings.js";
import { describeChoice, withChosenWeights } from "../weights_type.js";
import { defineStage, type StageContext } from "./stage.js";

/** The network in the form of its file, checked against the one before shrinking. */
export const exporting = defineStage({
  takes: ["trained"],
  gives: () => ["exported"],
  // Layers have other forms now, and what is changed afterwards would not be what was checked.
  ends: ["decomposed", "pruned", "trained"],
  apply: exportStage,
});

async function exportStage(graph: Graph, context: StageContext<"trained">): Promise<Graph> {
  const { run, networks } = context;
  const original = await run.readOriginal();
  // A size is a promise, which must not depend on what happens to be faster today.
  const isMeasured = run.config.settings.prune.rule !== "size";
  const exported = await inFileForm(graph, original, context, isMeasured ? measureLayers : undefined);
  await checkExport(await networks.read("trained"), exported, context);
  const { graph: stored, choice } = await withChosenWeights(exported, context);
  if (choice !== undefined) {
    await writeFileAtomic(run.path("weights.json"), JSON.stringify(choice, null, 2));
    const said = describeChoice(choice);
    if (said !== undefined) context.listener.notice?.(said);
  }
  return withinSize(stored, run.config);
}

/** How a run would write networks on the way to its result, in forms that are not measured. */
export async function networkWriter(
  context: RunContext,
): Promise<(graph: Graph, options: WriteOptions) => Promise<WrittenNetwork>> {
  const { run } = context;
  const { externalData, settings } = run.config;
  const original = await run.readOriginal();
  const rest = await run.readRest();
  return async (graph, { fraction, shrunk }) => {
    const small = shrunk ? shrink(graph, { multiple: settings.channelMultiple }) : graph;
    const passage = { ...context.passage, fraction };
    const inForm = await inFileForm(small, original, { ...context, passage }, undefined);
    const { graph: written } = await withChosenWeights(inForm, context);
    const whole = rest === undefined ? written : joinRest(written, rest);
    return { graph: written, bytes: writtenBytes(whole, externalData) };
  };
}

async function inFileForm(
  graph: Graph,
  original: Graph,
  { run, dataset, passage }: RunContext,
  measure: ExportOptions["measure"],
): Promise<Graph> {
  const { settings, preprocessing, preset, model, seed, versions } = run.config;
  const classNames = outputNames(run.config, original, dataset);
  const isLabelled = run.config.reference !== "original" && classNames !== undefined;
  const { prune } = settings;
  const criterion = askedCriterion(prune);
  const isGiven = criterion !== undefined || passage.fraction === undefined;
  const exported = await exportModel(graph, {
    original,
    // What is asked for is stored afterwards: first the network itself is checked.
    ...(settings.weights === undefined ? {} : { weightsType: "float32" }),
    executedLimit: fileCounts(original).executedMacs,
    preprocessing,
    ...(isLabelled ? { classNames } : {}),
    record: {
      method: "PENNI",
      // Files are given to others: where this one lay is nobody's business.
      model: path.basename(model),
      preset,
      seed,
      basis: settings.basis,
      prune,
      ...(isGiven ? {} : { fraction: passage.fraction }),
      weights: settings.weights ?? weightsTypeOf(original),
      versions,
      // As the file will have them, where normalizations are part of other layers.
      ...counts(foldNormalization(graph)),
    },
    ...(measure === undefined ? {} : { measure }),
    keepsFactors: criterion?.fixesPlaces === true,
  });
  return withinSize(exported.graph, run.config);
}

async function measureLayers(layers: readonly Graph[]): Promise<readonly number[]> {
  const times = await measureLatency(layers, { threads: LATENCY_THREADS });
  return times.map((time) => time.medianMs);
}

/** Larger files are not made larger by a record of their compression. */
const SMALL_FILE_BYTES = 2 ** 20;

/** The network without the record of its compression where that makes its file larger than what came in. */
function withinSize(exported: Graph, { modelBytes }: RunConfig): Graph {
  if (modelBytes === undefined || modelBytes > SMALL_FILE_BYTES) return exported;
  if (encodedSize(exported, { sparse: true }) <= modelBytes) return exported;
  const metadata = new Map([...exported.metadata].filter(([key]) => key !== COMPRESSION_KEY));
  return { ...exported, metadata };
}
