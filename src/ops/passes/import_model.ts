import { normalForm } from "../../graph/passes/normal_form.js";
import { type Pass, runPasses } from "../../graph/passes/pass.js";
import type { Graph } from "../../graph/types.js";
import { float32Images, toFloat32 } from "./float16.js";
import { inlineBranches } from "./inline_branches.js";
import { type SimplifyOptions, simplify } from "./simplify.js";
import { unfuse } from "./unfuse.js";
import { unpackWeights } from "./unpack_weights.js";
import { upgradeOpset } from "./upgrade_opset.js";

/** What a model goes through before it is simplified, in order. */
const standardization: readonly Pass[] = [
  { name: "normalForm", apply: normalForm },
  { name: "inlineBranches", apply: inlineBranches },
  { name: "unfuse", apply: unfuse },
  { name: "upgradeOpset", apply: upgradeOpset },
  { name: "unpackWeights", apply: unpackWeights },
  { name: "toFloat32", apply: toFloat32 },
  { name: "float32Images", apply: float32Images },
];

/**
 * A model as every further step wants it: operator set 13 or later, float32 throughout (images too), without what exporters
 * leave behind. The same network, to the bit where the model is float32.
 * @throws PenniError as `upgradeOpset` and `simplify` do
 */
export function importModel(graph: Graph, options: SimplifyOptions = {}): Graph {
  return simplify(runPasses(graph, standardization), options);
}
