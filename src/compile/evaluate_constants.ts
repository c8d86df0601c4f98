import { PenniError } from "../graph/errors.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import { elementCount, float32Tensor, numericTensor } from "../graph/tensor.js";
import type { ElementType, Graph, Node, Shape, Tensor } from "../graph/types.js";
import { isStatic } from "../ops/dims.js";
import { inferGraph, staticDims } from "../ops/infer.js";
import { interpretProgram } from "./interpreter.js";
import type { Program } from "./program.js";

/** Results with more elements than this are computed when the program runs: interpreting takes a microsecond each. */
const LARGEST = 2 ** 22;

/** Rounds of loops for all nodes together: so many, and more for each element of the model's own constants. */
const ROUNDS = { base: 2 ** 21, perElement: 64 } as const;

/**
 * The graph without the nodes that depend on constants alone, whatever their size: an exporter may leave weights
 * behind arithmetic. What would take very long is left to the program.
 * @param compile makes the program of a single node whose inputs are all constants
 * @param kept nodes that stay
 */
export function evaluateConstants(
  graph: Graph,
  compile: (graph: Graph) => Program,
  kept: ReadonlySet<Node>,
): Graph {
  const { types } = inferGraph(graph);
  const initializers = new Map(graph.initializers);
  const elements = [...initializers.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
  const allowance = { rounds: ROUNDS.base + ROUNDS.perElement * elements };
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const nodes = graph.nodes.filter((node) => {
    const isConstant = node.inputs.every((name) => name === "" || initializers.has(name));
    if (!isConstant || kept.has(node) || node.outputs.some((name) => outputs.has(name))) return true;
    const names = node.outputs.filter((name) => name !== "");
    const isCheap = allowance.rounds > 0 && names.every((name) => isSmall(types.get(name)?.shape));
    const found = isCheap
      ? results({ ...graph, initializers }, node, names, (alone) => {
          return interpretProgram(compile(alone), new Map(), allowance);
        })
      : [];
    found.forEach((data, at) => {
      const name = names[at] ?? "";
      const tensor = tensorOf(types.get(name)?.elementType ?? "float32", staticDims(types, name), data);
      if (tensor !== undefined) initializers.set(name, tensor);
    });
    return !names.every((name) => initializers.has(name));
  });
  return nodes.length === graph.nodes.length ? graph : removeDeadNodes({ ...graph, nodes, initializers });
}

function tensorOf(type: ElementType, dims: readonly number[], data: Float32Array): Tensor | undefined {
  return type === "float32" ? float32Tensor(dims, data) : numericTensor(type, dims, [...data]);
}

function isSmall(shape: Shape | undefined): boolean {
  return isStatic(shape) && elementCount(shape) <= LARGEST;
}

/** What a node computes; nothing if it cannot be compiled, about which others may complain. */
function results(
  graph: Graph,
  node: Node,
  names: readonly string[],
  run: (graph: Graph) => ReadonlyMap<string, Float32Array>,
): readonly Float32Array[] {
  const used = node.inputs.flatMap((name): [string, Tensor][] => {
    const tensor = graph.initializers.get(name);
    return tensor === undefined ? [] : [[name, tensor]];
  });
  const alone: Graph = {
    ...graph,
    inputs: [],
    outputs: names.map((name) => ({ name, type: undefined })),
    nodes: [node],
    initializers: new Map(used),
    valueInfo: new Map(),
  };
  try {
    const values = run(alone);
    return names.map((name) => values.get(name) ?? new Float32Array());
  } catch (error) {
    if (error instanceof PenniError) return [];
    throw error;
  }
}
