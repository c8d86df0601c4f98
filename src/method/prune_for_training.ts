import { entryOf } from "../graph/at.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { float32Data } from "../graph/tensor.js";
import type { Pruner } from "../train/gradual_pruning.js";
import { sparing } from "./criteria/network.js";
import { prunableInitializers, pruneToMacs } from "./prune.js";

/** Cuts a network to a fraction in the middle of its training, by the rule that prunes it afterwards. */
export const pruneForTraining: Pruner = (network, { fraction, originalMacs, parameters }) => {
  const spared = prunableInitializers(network).filter((name) => !parameters.includes(name));
  const scales = sparing(new Set(spared));
  const { initializers } = pruneToMacs(fixBatch(network, 1), { fraction, originalMacs, scales }).graph;
  return new Map(parameters.map((name) => [name, float32Data(entryOf(initializers, name))]));
};
