import { capturedNames, linkGraph } from "../../graph/links.js";
import type { Graph, Node, Tensor } from "../../graph/types.js";
import { widenedIntegers } from "../../onnx/small_integers.js";
import { findOp } from "../inference/registry.js";

/** On integers of 8 bits these do what they do on smaller ones. */
const INDIFFERENT: ReadonlySet<string> = new Set(["Cast", "DequantizeLinear"]);
/** Whether the output has the input's elements and no others. */
function moves(node: Node): boolean {
  const handling = findOp(node)?.elements;
  return handling === "kept" || handling === "reshaped" || handling === "moved";
}

/**
 * The same network with constants of 4 or 2 bits as integers of 8 bits, for who computes with them: the compiler and
 * de-quantization. Those that say to how many bits a QuantizeLinear rounds stay. The same object where there are none.
 */
export function widenSmallIntegers(graph: Graph): Graph {
  const small = [...graph.initializers].filter(([, { type }]) => type === "other");
  if (small.length === 0) return graph;
  const { readers, outputNames } = linkGraph(graph);
  const isFree = (name: string): boolean =>
    !outputNames.has(name) && readers.get(name)?.every((node) => isIndifferent(node, name)) !== false;
  const isIndifferent = (node: Node, name: string): boolean => {
    if (findOp(node) === undefined || capturedNames(node).includes(name)) return false;
    return INDIFFERENT.has(node.op) || (moves(node) && node.outputs.every(isFree));
  };
  const widened = small.flatMap(([name, tensor]): [string, Tensor][] => {
    const wide = isFree(name) ? widenedIntegers(tensor) : undefined;
    return wide === undefined ? [] : [[name, wide]];
  });
  if (widened.length === 0) return graph;
  // What is declared of values behind them speaks of the smaller types.
  const valueInfo = new Map([...graph.valueInfo].filter(([, { type }]) => type?.elementType !== "other"));
  return { ...graph, initializers: new Map([...graph.initializers, ...widened]), valueInfo };
}
