import { outputOf } from "../graph/at.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { countGraph } from "../measure/count.js";
import type { StepOptions } from "../train/step.js";
import {
  type LayerChannels,
  layerChannels,
  type ShrinkOptions,
  type Shrunk,
  shrinkWithMapping,
} from "./shrink.js";

export interface TrainingShrinkOptions extends Pick<ShrinkOptions, "multiple"> {
  /** As in the training step that runs the graph. */
  readonly batchNormalization: StepOptions["batchNormalization"];
  /** Share of the executed multiply-accumulates that must go to be worth new sessions, 0 (default) to below 1. */
  readonly minimumGain?: number;
}

/** A layer that became smaller. */
export interface ShrunkLayer {
  /** Name of the value it computes, the same before and after. */
  readonly output: string;
  readonly before: LayerChannels;
  /** Undefined if the whole layer went. */
  readonly after: LayerChannels | undefined;
}

/** A network to go on training with; inputs, outputs and all parameters that are left keep their names. */
export interface TrainingShrink extends Shrunk {
  readonly layers: readonly ShrunkLayer[];
  /** Float32 initializers that are gone: what is attached to them by name goes with them. */
  readonly vanished: readonly string[];
  /** Float32 initializers without a predecessor. They hold constants of removed channels and are not trained. */
  readonly added: readonly string[];
  /** Executed multiply-accumulates, for the batch that the inputs declare (1 where that is open). */
  readonly macs: { readonly before: number; readonly after: number };
}

/**
 * Shrinks a network in the middle of its training, whose forward pass in training stays the same to float rounding.
 * It removes channels that nobody reads (all their consumers' coefficients are zero) and channels that hold the
 * same number for every image and at every position. With batch statistics such a channel leaves
 * BatchNormalization as `bias`, whatever number it was, and running statistics do not count; inference with the
 * shrunk network is what inference with the unshrunk one becomes once its running statistics have caught up. With
 * "frozen" statistics it is the number that inference has.
 *
 * Removing is final, which is the method's decision about its zeros. In a phase without masks a coefficient that is
 * zero at this moment could grow back; that of a removed channel cannot, and the bias of a removed constant channel
 * is no longer trained. Shrink between epochs, when zeros have settled: without a mask, those of a constant channel
 * that is read do not settle, because BatchNormalization multiplies its gradient by 1 / sqrt(epsilon), about 300.
 *
 * The step after shrinking changes the parameters that are left as it would have changed them unshrunk, except where
 * a constant other than zero was folded:
 * - Of the constant channels that a zero-padded convolution reads, one stays and speaks for all: what determines its
 *   constant (its bias, its coefficients) gets the gradients of all, by v[c] / v[r] for constants v.
 * - The basis of a convolution without padding loses the gradient through the constants in its bias. In front of
 *   BatchNormalization with batch statistics that gradient is zero.
 * - Weight decay and L1 act on the new value of an element with a constant in it (`folded` in the mapping).
 * - What is in `added` is not trained.
 *
 * A channel that is zero behind its ReLU takes no part in any gradient: there the whole rest of the training, with
 * decay and L1, is the same.
 *
 * A parameter that several nodes read keeps all its channels. A scale of 0 in BatchNormalization
 * removes nothing, since networks start training with such scales.
 *
 * @param graph simplified, with the present parameters and running statistics as initializers
 * @returns undefined if nothing can be removed, or not enough
 * @throws PenniError "shape" if an input has a dimension other than the batch that is not fixed
 */
export function shrinkForTraining(graph: Graph, options: TrainingShrinkOptions): TrainingShrink | undefined {
  const { batchNormalization, multiple = 1, minimumGain = 0 } = options;
  const shrunk = shrinkWithMapping(graph, { multiple, mode: batchNormalization });
  if (shrunk.graph === graph) return undefined;
  const macs = { before: executedMacs(graph), after: executedMacs(shrunk.graph) };
  if (macs.before - macs.after < minimumGain * macs.before) return undefined;
  return {
    ...shrunk,
    layers: shrunkLayers(graph, shrunk.graph),
    vanished: floats(graph).filter((name) => !shrunk.graph.initializers.has(name)),
    added: floats(shrunk.graph).filter((name) => !shrunk.mapping.has(name)),
    macs,
  };
}

function executedMacs(graph: Graph): number {
  const isOpen = graph.inputs.some(({ type }) => typeof type?.shape?.[0] !== "number");
  return countGraph(isOpen ? fixBatch(graph, 1) : graph).executedMacs;
}

function floats(graph: Graph): readonly string[] {
  return [...graph.initializers].flatMap(([name, { type }]) => (type === "float32" ? [name] : []));
}

function shrunkLayers(before: Graph, after: Graph): readonly ShrunkLayer[] {
  const left = new Map(layerChannels(after).map((layer) => [outputOf(layer.node, 0), layer]));
  return layerChannels(before).flatMap((layer) => {
    const output = outputOf(layer.node, 0);
    const same = left.get(output);
    return isAsLarge(layer, same) ? [] : [{ output, before: layer, after: same }];
  });
}

function isAsLarge(before: LayerChannels, after: LayerChannels | undefined): boolean {
  return before.inputs === after?.inputs && before.outputs === after.outputs && before.basis === after.basis;
}
