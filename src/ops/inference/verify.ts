import { PenniError } from "../../graph/errors.js";
import { describeShape } from "../../graph/shape_error.js";
import type { Graph, Shape, ValueInfo } from "../../graph/types.js";
import { verifyGraph } from "../../graph/verify.js";
import { inferGraph } from "./infer.js";

/**
 * Checks the structure of a graph, that every node accepts the types of its inputs, and that the types the
 * graph declares agree with those.
 * @throws PenniError "bad-model" or "shape" naming the node or value.
 */
export function verifyTypes(graph: Graph): void {
  verifyGraph(graph);
  const { types } = inferGraph(graph);
  for (const info of [...graph.outputs, ...graph.valueInfo.values()]) {
    const inferred = types.get(info.name);
    if (info.type === undefined || inferred === undefined) continue;
    if (info.type.elementType === inferred.elementType && sizesAgree(info.type.shape, inferred.shape))
      continue;
    throw new PenniError("shape", `value "${info.name}" is not what the model declares`, {
      expected: describe(info.type),
      found: describe(inferred),
      advice: "The model contradicts itself; export it again",
    });
  }
}

function describe(type: NonNullable<ValueInfo["type"]>): string {
  return `${type.elementType} ${describeShape(type.shape)}`;
}

function sizesAgree(declared: Shape | undefined, inferred: Shape | undefined): boolean {
  if (declared === undefined || inferred === undefined) return true;
  if (declared.length !== inferred.length) return false;
  return declared.every((dim, axis) => {
    const other = inferred[axis];
    return typeof dim !== "number" || typeof other !== "number" || dim === other;
  });
}
