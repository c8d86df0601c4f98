import { normalForm } from "../../graph/passes/normal_form.js";
import type { Graph } from "../../graph/types.js";
import { float32Images, toFloat32 } from "./float16.js";
import { inlineBranches } from "./inline_branches.js";
import { type SimplifyOptions, simplify } from "./simplify.js";
import { unfuse } from "./unfuse.js";
import { upgradeOpset } from "./upgrade_opset.js";

/**
 * A model as every further step wants it: operator set 13 or later, float32 throughout (images too), without what exporters
 * leave behind. The same network, to the bit where the model is float32.
 * @throws PenniError as `upgradeOpset` and `simplify` do
 */
export function importModel(graph: Graph, options: SimplifyOptions = {}): Graph {
  const standard = upgradeOpset(unfuse(inlineBranches(normalForm(graph))));
  return simplify(float32Images(toFloat32(standard)), options);
}
