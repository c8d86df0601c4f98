import { intAttribute } from "../../graph/attributes.js";
import { freshNames, usedNames, withInitializers } from "../../graph/edit.js";
import { linkGraph } from "../../graph/links.js";
import { int64Tensor } from "../../graph/tensor.js";
import type { Graph, Node, Shape, Tensor } from "../../graph/types.js";
import { inferGraph } from "../infer.js";

const RESHAPING: ReadonlySet<string> = new Set(["Reshape", "Flatten", "Squeeze", "Unsqueeze"]);

const isReshaping = (node: Node | undefined): node is Node =>
  node !== undefined && RESHAPING.has(node.op) && (node.domain === "" || node.domain === "ai.onnx");

/**
 * Gives reshapes whose shape is computed while the model runs a constant one where the result's shape is
 * known up to dimensions that can be copied (0) or inferred (-1), and turns chains of Reshape, Flatten,
 * Squeeze and Unsqueeze into one Reshape.
 */
export function canonicalReshapes(graph: Graph): Graph {
  const { types } = inferGraph(graph);
  const { producers } = linkGraph(graph);
  const fresh = freshNames(usedNames(graph));
  const added = new Map<string, Tensor>();
  const nodes = graph.nodes.map((node) => {
    if (!isReshaping(node)) return node;
    const root = rootOf(node, producers);
    const isConstant = node.op !== "Reshape" || graph.initializers.has(node.inputs[1] ?? "");
    if (isConstant && root === node.inputs[0]) return node;
    const dims = constantShape(types.get(root)?.shape, types.get(node.outputs[0] ?? "")?.shape);
    if (dims === undefined) return node;
    const shape = fresh(`${node.outputs[0]}_shape`);
    added.set(shape, int64Tensor([dims.length], dims));
    return { ...node, op: "Reshape", inputs: [root, shape], attributes: new Map() };
  });
  return added.size === 0 ? graph : withInitializers({ ...graph, nodes }, added);
}

/** The value at the start of the chain of reshapes that ends in this node. */
function rootOf(node: Node, producers: ReadonlyMap<string, Node>): string {
  const [x = ""] = node.inputs;
  const producer = producers.get(x);
  return isReshaping(producer) && intAttribute(producer, "allowzero") !== 1 ? rootOf(producer, producers) : x;
}

/** The shape argument of a Reshape from `input` to `output`; undefined where it is not constant. */
function constantShape(input: Shape | undefined, output: Shape | undefined): readonly number[] | undefined {
  if (output === undefined || output.includes(0)) return undefined;
  const dims = output.map((dim, axis) => {
    if (typeof dim === "number") return dim;
    return dim !== undefined && dim === input?.[axis] ? 0 : -1;
  });
  return dims.filter((dim) => dim === -1).length > 1 ? undefined : dims;
}
