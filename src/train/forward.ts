import { inputOf, outputOf } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { Graph, ValueType } from "../graph/types.js";
import { batchNormalizationTraining } from "../ops/composites/batch_normalization_training.js";
import { standardOpset } from "../ops/core/definition.js";
import type { TypedBuilder } from "../ops/inference/builder.js";
import { TARGET_OPSET } from "../ops/passes/upgrade_opset.js";
import { type DroppedValue, emitDropout } from "./dropout.js";
import type { StateSlot } from "./state_slot.js";

/** Gradients are written in the forms of operator set 13. */
export function expectOpset(network: Graph): void {
  const opset = standardOpset(network);
  if (opset >= TARGET_OPSET) return;
  throw new PenniError("unsupported", "the network's operator set is too old to train", {
    expected: `opset ${TARGET_OPSET} or later`,
    found: `opset ${opset}`,
    advice: "Run upgradeOpset on the model first",
  });
}

/** The only image input of a network. */
export function imageInput(network: Graph): { name: string; type: ValueType } {
  const [input, ...others] = network.inputs;
  if (input?.type === undefined || others.length > 0) {
    throw new PenniError("unsupported", "training needs a network with exactly one input", {
      expected: "one image input [N, C, H, W]",
      found: `${network.inputs.length} inputs: ${network.inputs.map(({ name }) => name).join(", ")}`,
    });
  }
  return { name: input.name, type: input.type };
}

/** Declares state as inputs and the rest as constants; returns the names of the state. */
export function declareInitializers(
  b: TypedBuilder,
  network: Graph,
  state: ReadonlySet<string>,
  floatInput: (name: string, dims: readonly number[]) => string,
): string[] {
  const declared: string[] = [];
  for (const [name, tensor] of network.initializers) {
    if (state.has(name)) declared.push(floatInput(name, tensor.dims));
    else b.setInitializer(name, tensor);
  }
  return declared;
}

/** Where BatchNormalization reads its running statistics, and where its form for training gives the new ones. */
const [MEAN, VARIANCE] = [3, 4] as const;

/** What a network has in training besides its parameters. */
export interface TrainedForward {
  /** Running means and variances, by initializer name. */
  readonly statistics: ReadonlyMap<string, StateSlot>;
  readonly dropped: readonly DroppedValue[];
}

/**
 * Appends the network. In mode "batch" its batch normalizations are on batch statistics, and Dropout leaves features
 * out; in mode "frozen" it computes what it does in use.
 */
export function emitForward(
  b: TypedBuilder,
  network: Graph,
  mode: "batch" | "frozen",
  floatInput: (name: string, dims: readonly number[]) => string,
): TrainedForward {
  const statistics = new Map<string, StateSlot>();
  const dropped: DroppedValue[] = [];
  for (const node of network.nodes) {
    if (mode === "batch" && node.op === "Dropout") {
      const value = emitDropout(b, node, floatInput);
      if (value !== undefined) dropped.push(value);
      continue;
    }
    if (mode === "frozen" || node.op !== "BatchNormalization") {
      b.append(node);
      continue;
    }
    const training = batchNormalizationTraining(b, node);
    b.append(training);
    for (const index of [MEAN, VARIANCE]) {
      const input = inputOf(node, index);
      statistics.set(input, { input, output: outputOf(training, index), dims: b.dims(input) });
    }
  }
  return { statistics, dropped };
}
