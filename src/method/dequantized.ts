import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { type Dequantization, dequantize } from "../ops/passes/dequantize.js";
import { layerName } from "./inspect.js";
import { quantizedNode, someNames } from "./remarks.js";

/** A network for compression, and what was done to it in one sentence. */
export interface DequantizedNetwork {
  readonly graph: Graph;
  readonly description: string;
}

/**
 * The float32 network behind a quantized one.
 * @throws PenniError "bad-option" if nothing in it is quantized
 */
export function dequantizedNetwork(graph: Graph): DequantizedNetwork {
  if (quantizedNode(graph) === undefined) {
    throw new PenniError("bad-option", "--dequantize is for quantized models, and this one is not", {
      advice: "Leave --dequantize out",
    });
  }
  const result = dequantize(graph);
  return { graph: result.graph, description: describe(result) };
}

function describe({ constants, values, bounded, left }: Dequantization): string {
  const parts = [
    `${constants} weights and other constants are float32 numbers now`,
    `${values} values are no longer rounded`,
    ...(bounded === 0 ? [] : [`${bounded} of them keep the bound at 0 that stood for an activation`]),
    ...(left.length === 0 ? [] : [`still quantized: ${someNames(left.map(layerName))}`]),
  ];
  return `de-quantized: ${parts.join(", ")}; the result is to be quantized anew`;
}
