import { int } from "../graph/attributes.js";
import type { Graph, ValueInfo } from "../graph/types.js";
import { TypedBuilder } from "../ops/builder.js";
import { standardOpset } from "../ops/definition.js";
import { tensorType } from "../ops/infer.js";
import { logitsOf } from "./step.js";

/** Output of an evaluation graph: int64 [N], the class with the largest logit. */
export const PREDICTED = "penni/predicted";

/**
 * The network in inference form with its state as inputs (after the image input), so that one session
 * evaluates every version of the parameters.
 */
export function buildEvaluation(network: Graph, state: ReadonlySet<string>): Graph {
  const logits = logitsOf(network);
  const b = new TypedBuilder(standardOpset(network), [...network.initializers.keys()]);
  b.emit("ArgMax", [logits], { attributes: { axis: int(1), keepdims: int(0) }, outputs: [PREDICTED] });
  const stateInputs: ValueInfo[] = [];
  const initializers = new Map(network.initializers);
  for (const [name, tensor] of network.initializers) {
    if (!state.has(name)) continue;
    stateInputs.push({ name, type: tensorType(tensor) });
    initializers.delete(name);
  }
  return {
    ...network,
    inputs: [...network.inputs, ...stateInputs],
    outputs: [{ name: PREDICTED, type: undefined }],
    nodes: [...network.nodes, ...b.nodes],
    initializers,
    valueInfo: new Map(),
  };
}
