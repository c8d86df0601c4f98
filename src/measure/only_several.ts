import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { inferGraph } from "../ops/inference/infer.js";

/**
 * Costs are counted for one image, and images are taken in as many as there are: a network that states a batch of several
 * must go through with one as well.
 * @throws PenniError "unsupported" naming the node that is written for the stated batch
 */
export function refuseOnlySeveral(graph: Graph): void {
  const [input] = graph.inputs;
  const stated = input?.type?.shape?.[0];
  if (input === undefined || typeof stated !== "number" || stated <= 1) return;
  // What does not fit with its own batch either has another fault, which is told where it is met.
  if (faultOf(graph) !== undefined) return;
  const fault = faultOf(fixBatch(graph, 1));
  if (fault === undefined) return;
  const { node, op } = fault.details;
  throw new PenniError(
    "unsupported",
    `this is written for ${stated} along the first dimension of input "${input.name}", taken for the number of images`,
    {
      ...(node === undefined ? {} : { node }),
      ...(op === undefined ? {} : { op }),
      expected: "what one image goes through as well",
      found: fault.problem,
      advice: "Export the model for one image, or with a dynamic batch axis",
    },
    { cause: fault },
  );
}

function faultOf(graph: Graph): PenniError | undefined {
  try {
    inferGraph(graph);
    return undefined;
  } catch (error) {
    if (error instanceof PenniError) return error;
    throw error;
  }
}
