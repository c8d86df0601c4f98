import type { Graph, Node } from "../../graph/types.js";
import { PENNI_DOMAIN } from "../core/composite.js";
import { isStatic } from "../core/dims.js";
import { findOp } from "../inference/registry.js";
import { expandWhere } from "./expand_composites.js";

/**
 * The same network without the standard operators that have a form in simpler ones, for who runs those only: the
 * compiler. Nodes whose inputs have open dimensions stay.
 * @throws PenniError "unsupported" naming a node whose form has none
 */
export function expandOperators(graph: Graph): Graph {
  const isExpandable = (node: Node): boolean =>
    node.domain !== PENNI_DOMAIN && findOp(node)?.expand !== undefined;
  if (!graph.nodes.some(isExpandable)) return graph;
  return expandWhere(
    graph,
    (node, b) =>
      isExpandable(node) && node.inputs.every((name) => name === "" || isStatic(b.types.get(name)?.shape)),
  );
}
