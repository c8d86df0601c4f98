import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { countGraph } from "../measure/count.js";
import { goalOf } from "../method/goal/rules.js";
import type { Settings } from "./config.js";

/**
 * Multiply-accumulates a second on two usual cores: of training steps (docs/training-speed.md has 74 to 115 thousand million),
 * and of networks that are only asked.
 */
const RATES = { step: 8e10, network: 6e10 };
/** A step computes forward, back to what came in, and to the weights. */
const PASSES = 3;

/** How long the training of a run takes, roughly. */
export interface ExpectedTraining {
  readonly seconds: number;
  /** Of all stages together. */
  readonly epochs: number;
  /** Pictures of an epoch. */
  readonly images: number;
  /** Whether a goal is searched for, with a training of its own for each try. */
  readonly isRepeated: boolean;
}

/**
 * @param network imported
 * @param teacher whose outputs are learned from, if that is not the network as it came in
 * @param count images for training, those that are held out included
 * @returns undefined where nothing is trained, or not on this processor
 * @throws PenniError as `countGraph`
 */
export function expectedTraining(
  network: Graph,
  teacher: Graph | undefined,
  count: number,
  settings: Settings,
): ExpectedTraining | undefined {
  const { channels, retrain, fineTune, validation, trainLimit = count, loss, device, prune } = settings;
  const epochs = [channels?.training, retrain, fineTune]
    .filter((part) => part !== undefined)
    .reduce((sum, part) => sum + part.epochs, 0);
  if (epochs === 0 || device !== "cpu") return undefined;
  const held = Math.round(validation * count);
  const images = Math.min(count - held, trainLimit);
  const macsOf = (graph: Graph): number => countGraph(fixBatch(graph, 1)).executedMacs;
  const macs = macsOf(network);
  const asked = loss.distillation > 0 ? (teacher === undefined ? macs : macsOf(teacher)) : 0;
  const step = (PASSES * macs) / RATES.step + asked / RATES.network;
  // Each epoch ends with a look at the pictures that were held out.
  const seconds = epochs * (images * step + (held * (macs + asked)) / RATES.network);
  return { seconds, epochs, images, isRepeated: goalOf(prune) !== undefined };
}
