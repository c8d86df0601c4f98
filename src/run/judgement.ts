import type { Split } from "../data/dataset.js";
import { holdOut, sampleIndices } from "../data/hold_out.js";
import type { Preprocessing } from "../data/preprocessing.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { inferGraph } from "../ops/inference/infer.js";
import type { OutputLoss } from "../train/outputs.js";
import type { CompressRequest } from "./compress_request.js";
import type { RunConfig, Settings } from "./config.js";
import { type MatchedOutputs, matchOutputs } from "./outputs.js";
import { checkTrainable } from "./trainability.js";

/** Images on which it is seen how the original's outputs vary. */
const DEVIATION_IMAGES = 64;

/** Of a single image everything is the same for every image. */
const FEWEST_IMAGES = 2;

function tooFewImages(found: number): PenniError {
  return new PenniError("bad-data", "there are too few pictures to see what the network makes of them", {
    expected: `${FEWEST_IMAGES} or more beside those that are kept apart for validation and test`,
    found: `${found}`,
    advice: "Give more pictures: some hundred are good",
  });
}

/** What is found out about labels and outputs for the configuration. */
export interface Judgement extends Pick<RunConfig, "reference" | "leftOut" | "classes"> {
  readonly outputs?: OutputLoss[];
}

/** How the outputs are matched, and whether the labels, if there are any, are still what the result is judged by. */
export async function judge(
  graph: Graph,
  decomposed: Graph,
  split: Split,
  preprocessing: Preprocessing,
  { settings, seed, outputs: choices = new Map() }: CompressRequest,
): Promise<Judgement> {
  const labelClasses = split.labels === undefined ? undefined : (split.classes ?? classCount(split.labels));
  const { train } = holdOut(split, settings.validation, seed);
  if (train.length < FEWEST_IMAGES) throw tooFewImages(train.length);
  const indices = sampleIndices(train, DEVIATION_IMAGES, seed);
  const { matched, leftOut } = await preferringWhole((mayFreeze) =>
    matchOutputs({
      network: graph,
      choices,
      labelClasses,
      images: { split, indices, preprocessing, threads: settings.threads },
      trainingProblem: (losses) => trainingProblem(decomposed, settings, losses, mayFreeze),
    }),
  );
  return {
    outputs: [...matched],
    ...(isLabelledClassifier(graph, matched, labelClasses) ? {} : { reference: "original" }),
    ...(leftOut.length === 0 ? {} : { leftOut: [...leftOut] }),
  };
}

/** Matches outputs with gradients to all weights before them; where there are none, those with gradients to some. */
async function preferringWhole(
  match: (mayFreeze: boolean) => Promise<MatchedOutputs>,
): Promise<MatchedOutputs> {
  try {
    return await match(false);
  } catch (error) {
    if (error instanceof PenniError && error.code === "unsupported") return match(true);
    throw error;
  }
}

/** Whether the first output has class scores [N, K], for the classes that the labels have. */
function isLabelledClassifier(
  graph: Graph,
  matched: readonly OutputLoss[],
  labelClasses: number | undefined,
): boolean {
  const [first] = graph.outputs;
  const loss = matched.find(({ output }) => output === first?.name);
  if (loss?.measure !== "kl" || loss.axis !== 1 || labelClasses === undefined) return false;
  const shape = inferGraph(fixBatch(graph, 1)).types.get(loss.output)?.shape;
  return shape?.length === 2 && shape[1] === labelClasses;
}

/** Why the network cannot be trained on these outputs; undefined if it can, or is not trained at all. */
function trainingProblem(
  decomposed: Graph,
  settings: Settings,
  outputs: readonly OutputLoss[],
  mayFreeze: boolean,
): string | undefined {
  try {
    const loss = { ...settings.loss, outputs: [...outputs] };
    checkTrainable(decomposed, { ...settings, loss }, "original", mayFreeze);
    return undefined;
  } catch (error) {
    if (error instanceof PenniError && (error.code === "unsupported" || error.code === "shape"))
      return error.message;
    throw error;
  }
}

function classCount(labels: Uint16Array): number {
  return labels.reduce((most, label) => Math.max(most, label), 0) + 1;
}
