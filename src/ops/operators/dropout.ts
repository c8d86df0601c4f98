import { hasInput } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";
import { laneWise } from "../channels/lanewise.js";
import { optionalInput, requiredInput } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";

/** The share that is left out where a node states none. */
export const DROPOUT_RATIO = 0.5;

/**
 * Dropout in inference form: y = x, mask all true (ONNX Dropout, opset 7 and later). dx = dy. Training mode
 * draws random numbers and has no gradient here.
 */
export const Dropout: OpDefinition = {
  type: "Dropout",
  scalars: [1, 2],
  cost: noProducts,
  elements: "kept",
  constants: { trained: [], settings: [1] },
  optionalOutputs: 1,
  shape: (context) => {
    const x = requiredInput(context, 0);
    return [x, { elementType: "bool", shape: x.shape }];
  },
  value: (context) => [isInferenceDropout(context) ? context.values[0] : undefined],
  channels: laneWise({ constant: (x, context) => (isInferenceDropout(context) ? x : undefined) }),
  gradient: (context) => {
    const { node } = context;
    const mode = optionalInput(node, 2);
    const tensor = mode === undefined ? undefined : context.constant(mode);
    if (mode !== undefined && (tensor === undefined || tensor.bytes[0] !== 0)) {
      throw new PenniError("unsupported", "Dropout in training mode has no gradient", {
        node: node.name,
        op: node.op,
        expected: "training_mode absent or false",
        advice: "Export the model in inference mode",
      });
    }
    return [context.outputGradients[0]];
  },
};

/** Whether the node provably lets its input through unchanged. */
export function isInferenceDropout({ node, values }: Pick<NodeContext, "node" | "values">): boolean {
  return !hasInput(node, 2) || values[2]?.elements[0] === 0;
}
