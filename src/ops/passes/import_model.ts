import type { Graph } from "../../graph/types.js";
import { float32Images, toFloat32 } from "./float16.js";
import { recogniseFactored } from "./recognise_factored.js";
import { type SimplifyOptions, simplify } from "./simplify.js";
import { upgradeOpset } from "./upgrade_opset.js";

/**
 * A model as every further step wants it: operator set 13 or later, float32 throughout (images too), without what exporters
 * leave behind. The same network, to the bit where the model is float32.
 * @throws PenniError as `upgradeOpset` and `simplify` do
 */
export function importModel(graph: Graph, options: SimplifyOptions = {}): Graph {
  return simplify(float32Images(toFloat32(upgradeOpset(graph))), options);
}

/** `importModel` for a model that is to be compressed: layers that were factored are decomposed ones again. */
export function importForCompression(graph: Graph, options: SimplifyOptions = {}): Graph {
  return recogniseFactored(importModel(graph, options));
}
