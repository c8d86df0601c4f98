import { hasOutput, inputOf, orDefault, outputOf } from "../../graph/at.js";
import { intAttribute } from "../../graph/attributes.js";
import { freshNames, usedNames, withInitializers } from "../../graph/edit.js";
import { dependentsOf } from "../../graph/following.js";
import { ofInput, ofOutput, outputOrOmitted } from "../../graph/operands.js";
import { int64Tensor, numericData } from "../../graph/tensor.js";
import type { Dim, Graph, Node, Shape, Tensor, ValueType } from "../../graph/types.js";
import { inferGraph } from "../inference/infer.js";
import { findOp } from "../inference/registry.js";

const isReshaping = (node: Node | undefined): node is Node =>
  node !== undefined && findOp(node)?.elements === "reshaped";

/**
 * Gives reshapes whose shape is computed while the model runs a constant one where the result's shape is
 * known up to dimensions that can be copied (0) or inferred (-1), and turns chains of Reshape, Flatten,
 * Squeeze and Unsqueeze into one Reshape. In a model with a fixed batch, reshapes that keep the batch axis copy
 * it instead of naming its size, so that `fixBatch` can change it.
 */
export function canonicalReshapes(graph: Graph): Graph {
  const { types } = inferGraph(graph);
  const keepsBatch = batchKeeping(graph, types);
  const roots = rootsOf(graph);
  const fresh = freshNames(usedNames(graph));
  const added = new Map<string, Tensor>();
  const nodes = graph.nodes.map((node) => {
    const root = roots.get(node);
    if (root === undefined) return node;
    const copiesBatch = keepsBatch(root, outputOrOmitted(node, 0));
    const stated = ofInput(graph.initializers, node, 1);
    const isConstant = node.op !== "Reshape" || stated !== undefined;
    const namesBatch = copiesBatch && node.op === "Reshape" && stated !== undefined && startsWithSize(stated);
    if (isConstant && !namesBatch && root === node.inputs[0]) return node;
    const dims = constantShape(types.get(root)?.shape, ofOutput(types, node, 0)?.shape, copiesBatch);
    if (dims === undefined) return node;
    const shape = fresh(`${node.outputs[0]}_shape`);
    added.set(shape, int64Tensor([dims.length], dims));
    return { ...node, op: "Reshape", inputs: [root, shape], attributes: new Map() };
  });
  return added.size === 0 ? graph : withInitializers({ ...graph, nodes }, added);
}

/** The value at the start of the chain of reshapes that ends in each of these nodes. */
function rootsOf(graph: Graph): ReadonlyMap<Node, string> {
  const roots = new Map<Node, string>();
  const behind = new Map<string, string>();
  for (const node of graph.nodes.filter(isReshaping)) {
    const x = inputOf(node, 0);
    const root = behind.get(x) ?? x;
    roots.set(node, root);
    if (intAttribute(node, "allowzero") !== 1 && hasOutput(node, 0)) behind.set(outputOf(node, 0), root);
  }
  return roots;
}

/**
 * Whether the first axis of two values, one reshaped from the other, is the fixed batch of the graph's inputs:
 * of the same size, and in values that depend on those inputs (a weight may have such an axis too).
 */
function batchKeeping(
  graph: Graph,
  types: ReadonlyMap<string, ValueType>,
): (root: string, output: string) => boolean {
  const batches = new Set<Dim>(
    graph.inputs.map(({ type }) => type?.shape?.[0]).filter((dim) => typeof dim === "number"),
  );
  if (batches.size === 0) return () => false;
  const inputs = graph.inputs.map((input) => input.name);
  const dependent = dependentsOf(graph.nodes, inputs).values;
  return (root, output) => {
    const batch = types.get(root)?.shape?.[0];
    return dependent.has(root) && batches.has(batch) && batch === types.get(output)?.shape?.[0];
  };
}

const startsWithSize = (shape: Tensor): boolean => orDefault(numericData(shape)[0], 0) > 0;

/**
 * The shape argument of a Reshape from `input` to `output`; undefined where it is not constant.
 * @param copiesBatch copy the first dimension also where its size is known
 */
function constantShape(
  input: Shape | undefined,
  output: Shape | undefined,
  copiesBatch: boolean,
): readonly number[] | undefined {
  if (output === undefined || output.includes(0)) return undefined;
  const dims = output.map((dim, axis) => {
    if (axis === 0 && copiesBatch) return 0;
    if (typeof dim === "number") return dim;
    return dim !== undefined && dim === input?.[axis] ? 0 : -1;
  });
  return dims.filter((dim) => dim === -1).length > 1 ? undefined : dims;
}
