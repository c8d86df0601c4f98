import { intAttributeOr } from "../graph/attributes.js";
import { shapeError } from "../graph/shape_error.js";
import type { Dim, Node } from "../graph/types.js";

/** The `group` attribute, 1 where it is absent. */
export function groupCount(node: Node): number {
  const groups = intAttributeOr(node, "group", 1);
  if (groups >= 1) return groups;
  throw shapeError(node, 'attribute "group" must be positive', "1 or more", `${groups}`);
}

/**
 * Checks that a weight's rows divide into the groups: there are no more of these than the file has weights for.
 * @throws PenniError "shape" if they do not
 */
export function checkDivides(node: Node, what: string, channels: Dim): void {
  const groups = groupCount(node);
  if (typeof channels !== "number" || groups === 1) return;
  if (channels >= groups && channels % groups === 0) return;
  throw shapeError(
    node,
    `the ${what} do not divide into the groups`,
    `a multiple of ${groups}`,
    `${channels}`,
  );
}
