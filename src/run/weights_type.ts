import { allIndices } from "../data/batches.js";
import { sampleIndices } from "../data/hold_out.js";
import type { Graph } from "../graph/types.js";
import type { WeightsType } from "../graph/weights_type.js";
import { OutputComparison } from "../measure/output_comparison.js";
import { outputDeviations } from "../measure/output_deviation.js";
import { runPair } from "../measure/pair.js";
import { withRecordedWeights } from "../method/compression_record.js";
import { encodedSize } from "../onnx/write.js";
import { storeWeights } from "../ops/passes/store_weights.js";
import { namedOutputs } from "../train/outputs.js";
import type { RunContext } from "./context.js";

/** A way to store weights that was tried, and what it does to the network. */
export interface WeightsTrial {
  readonly type: WeightsType;
  /** Of int8, steps on each side of zero. */
  readonly levels?: number;
  readonly bytes: number;
  /** Root mean square error of the outputs over their deviation from image to image, on images of the training split: the largest, of a kind. */
  readonly error?: number;
}

/** `weights.json`: how the weights are stored, and what was tried where that was to be chosen. */
export interface WeightsChoice {
  readonly asked: WeightsType | "auto";
  readonly type: WeightsType;
  readonly levels?: number;
  readonly tried: readonly WeightsTrial[];
  /** Weights that stay float32, and why. */
  readonly kept: readonly { readonly name: string; readonly reason: string }[];
}

/** What is tried where the type is to be chosen, the smallest first; float32 is what is left. */
const candidates: readonly Pick<WeightsTrial, "type" | "levels">[] = [
  { type: "int8", levels: 31 },
  { type: "int8", levels: 45 },
  { type: "int8", levels: 63 },
  { type: "int8" },
  { type: "float16" },
];

/** Of images on which outputs are compared. */
const IMAGES = 256;
/** Outputs may move by this share of their deviation: ResNet-20 lost nothing by 5.7 %, and 0.16 points by more than 6. */
const LARGEST_ERROR = 0.06;

/**
 * A network whose weights are float32 with weights as the run is asked to store them. With "auto" this is the smallest
 * type that moves the outputs on training images by little; no test image is looked at. It is never larger than what
 * came in.
 */
export async function withChosenWeights(
  graph: Graph,
  context: RunContext,
): Promise<{ readonly graph: Graph; readonly choice: WeightsChoice | undefined }> {
  const { weights: asked } = context.run.config.settings;
  if (asked === undefined) return { graph, choice: undefined };
  const bytesOf = (written: Graph): number => encodedSize(written, { sparse: true });
  const unstored = bytesOf(graph);
  const tried: WeightsTrial[] = [];
  const errorWith = asked === "auto" ? await errorMeter(graph, context) : undefined;
  for (const candidate of asked === "auto" ? candidates : [{ type: asked }]) {
    const { graph: held, kept } = storeWeights(graph, candidate.type, candidate.levels);
    const stored = withRecordedWeights(held, candidate.type);
    const bytes = bytesOf(stored);
    const error = await errorWith?.(stored);
    const trial = { ...candidate, bytes, ...(error === undefined ? {} : { error }) };
    tried.push(trial);
    if (bytes > unstored || (error !== undefined && !(error <= LARGEST_ERROR))) continue;
    return { graph: stored, choice: { asked, ...candidate, tried, kept } };
  }
  return {
    graph: withRecordedWeights(graph, "float32"),
    choice: { asked, type: "float32", tried, kept: [] },
  };
}

/** What was chosen and why, in one line; undefined where nothing was to be chosen. */
export function describeChoice({ asked, type, levels, tried }: WeightsChoice): string | undefined {
  if (asked !== "auto") return undefined;
  const name = ({ type: each, levels: steps }: Pick<WeightsTrial, "type" | "levels">): string =>
    steps === undefined ? each : `${each} of ${steps} steps`;
  const tries = tried.map((trial) => {
    const moved = trial.error === undefined ? "" : `, outputs move by ${(100 * trial.error).toFixed(1)} %`;
    return `${name(trial)} (${trial.bytes} bytes${moved})`;
  });
  const chosen = name({ type, ...(levels === undefined ? {} : { levels }) });
  return `weights are stored as ${chosen}; tried, at most ${100 * LARGEST_ERROR} % allowed: ${tries.join(", ")}`;
}

/** How far a network's outputs move at most, on images of the training split: of no number, more than is allowed. */
async function errorMeter(
  first: Graph,
  { run, dataset }: RunContext,
): Promise<(second: Graph) => Promise<number>> {
  const split = await dataset.train();
  const { preprocessing, seed, settings } = run.config;
  const indices = sampleIndices(allIndices(split), IMAGES, seed);
  const images = { split, preprocessing, indices };
  const matched = namedOutputs(settings.loss).map(({ output }) => output);
  const names = matched.length > 0 ? matched : first.outputs.slice(0, 1).map(({ name }) => name);
  const units = await outputDeviations(first, names, { ...images, threads: settings.threads });
  const compared = [...units].flatMap(([output, unit]) => ("problem" in unit ? [] : [{ output, ...unit }]));
  if (compared.length < units.size) return async () => Number.POSITIVE_INFINITY;
  return async (second) => {
    const comparison = new OutputComparison(compared);
    for await (const batch of runPair({ first, second, ...images }, names)) comparison.add(batch);
    return Math.max(
      ...comparison.results.map(({ error }) => (error === null ? Number.POSITIVE_INFINITY : error)),
    );
  };
}
