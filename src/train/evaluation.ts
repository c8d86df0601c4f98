import { int } from "../graph/attributes.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import type { Graph, ValueInfo } from "../graph/types.js";
import { standardOpset } from "../ops/core/definition.js";
import { TypedBuilder } from "../ops/inference/builder.js";
import { inferGraph, tensorType } from "../ops/inference/infer.js";
import { scoredValue } from "./outputs.js";

/** Output of a classifier's evaluation graph: int64 [N], the class with the largest logit. */
export const PREDICTED = "penni/predicted";

/**
 * A classifier in inference form with its state as inputs (after the image input), so that one session evaluates
 * every version of the parameters. Its output is `PREDICTED`.
 */
export function buildEvaluation(network: Graph, state: ReadonlySet<string>): Graph {
  const { types } = inferGraph(network);
  const { value } = scoredValue(network, types);
  const b = new TypedBuilder(standardOpset(network), [...network.initializers.keys()]);
  // Scores may have further axes of one element.
  const logits = b.emit("Flatten", [value], {
    attributes: { axis: int(1) },
    outputs: ["penni/scores"],
  });
  b.emit("ArgMax", [logits], { attributes: { axis: int(1), keepdims: int(0) }, outputs: [PREDICTED] });
  return withStateInputs(
    {
      ...network,
      nodes: [...network.nodes, ...b.nodes],
      outputs: [{ name: PREDICTED, type: undefined }],
    },
    state,
  );
}

/** The same for some outputs of any network. */
export function buildOutputs(network: Graph, state: ReadonlySet<string>, outputs: readonly string[]): Graph {
  const wanted = network.outputs.filter(({ name }) => outputs.includes(name));
  return withStateInputs(removeDeadNodes({ ...network, outputs: wanted }), state);
}

function withStateInputs(network: Graph, state: ReadonlySet<string>): Graph {
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
    initializers,
    valueInfo: new Map(),
  };
}
