import { type Pass, runUntilStable } from "../../graph/passes/pass.js";
import { removeDeadNodes } from "../../graph/passes/remove_dead_nodes.js";
import type { Graph } from "../../graph/types.js";
import { verifyTypes } from "../inference/verify.js";
import { canonicalReshapes } from "./canonical_reshapes.js";
import { foldConstants } from "./fold_constants.js";
import { inlineBranches } from "./inline_branches.js";
import { mergeSlices } from "./merge_slices.js";
import { mergeTransposes } from "./merge_transposes.js";
import { removeIdentities } from "./remove_identities.js";
import { removeUnreadOutputs } from "./remove_unread_outputs.js";
import { resizeByScales } from "./resize_by_scales.js";

/** What `simplify` does, in order, until nothing changes. */
const simplification = ({ keepsDropout = false }: SimplifyOptions): readonly Pass[] => [
  { name: "removeDeadNodes", apply: removeDeadNodes },
  { name: "removeUnreadOutputs", apply: removeUnreadOutputs },
  { name: "inlineBranches", apply: inlineBranches },
  { name: "foldConstants", apply: foldConstants },
  { name: "canonicalReshapes", apply: canonicalReshapes },
  { name: "resizeByScales", apply: resizeByScales },
  { name: "mergeSlices", apply: mergeSlices },
  { name: "mergeTransposes", apply: mergeTransposes },
  { name: "removeIdentities", apply: (graph) => removeIdentities(graph, { keepsDropout }) },
  { name: "removeDeadNodes", apply: removeDeadNodes },
];

export interface SimplifyOptions {
  /** Check the graph after every pass (tests and debugging). */
  readonly verify?: boolean;
  /** Leave Dropout where it stands, for training (false). */
  readonly keepsDropout?: boolean;
}

/**
 * The same network with only the nodes that compute something: no constants, no shape arithmetic, no
 * identities. Outputs are bit-identical; inputs and outputs keep their names; a dynamic batch axis stays
 * dynamic. BatchNormalization stays too (`foldBatchNormalization`).
 */
export function simplify(graph: Graph, options: SimplifyOptions = {}): Graph {
  return runUntilStable(graph, simplification(options), options.verify === true ? verifyTypes : undefined);
}
