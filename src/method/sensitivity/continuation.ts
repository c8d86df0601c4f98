import { dependentsOf } from "../../graph/following.js";
import { outputOrOmitted } from "../../graph/operands.js";
import { removeDeadNodes } from "../../graph/passes/remove_dead_nodes.js";
import type { ElementType, Graph, Node, ValueInfo, ValueType } from "../../graph/types.js";
import { namesRead } from "../../graph/verify.js";

/** The part of a network that some weights decide, with these weights as inputs. */
export interface Continuation {
  /** Inputs: `entries`, then the weights. Outputs: those of the network that the weights can change. */
  readonly graph: Graph;
  /** Values of the network that come in: the network computes them as it would without this part. */
  readonly entries: readonly string[];
}

/** A weight that becomes an input. */
export interface OpenWeight {
  /** Name of the value; an initializer or something computed from initializers. */
  readonly weight: string;
  readonly dims: readonly number[];
}

/** Element types of values that can be taken out of one session and fed to another. */
const transferable: readonly ElementType[] = [
  "float32",
  "float64",
  "int8",
  "int16",
  "int32",
  "int64",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
  "bool",
];

/** Names of all values that do not depend on the network's inputs: initializers and what is computed from them. */
export function constantValues(graph: Graph): ReadonlySet<string> {
  const constants = new Set(graph.initializers.keys());
  for (const node of graph.nodes) {
    if (!namesRead(node).every((name) => constants.has(name))) continue;
    for (const output of node.outputs) constants.add(output);
  }
  return constants;
}

/**
 * Cuts off what depends on some weights, so that the rest need not run again for each value of them. Where a value on
 * the border cannot be carried over (its type is unknown), the whole network is taken.
 * @param types of the network's values, as far as they are known
 */
export function continuation(
  graph: Graph,
  types: ReadonlyMap<string, ValueType>,
  weights: readonly OpenWeight[],
): Continuation {
  const constants = constantValues(graph);
  const opened = weights.map(({ weight }) => weight);
  const affected = dependentsOf(graph.nodes, opened).nodes;
  const border = bordersOf(affected, new Set([...constants, ...opened])).map((name): ValueInfo => {
    return { name, type: types.get(name) };
  });
  const whole = !border.every(({ type }) => type !== undefined && transferable.includes(type.elementType));
  const inputs = graph.inputs.map(({ name }) => name);
  const part = whole ? dependentsOf(graph.nodes, [...inputs, ...opened]).nodes : affected;
  const entries = whole ? graph.inputs : border;
  const computed = new Set([...part].flatMap((node) => node.outputs));
  const isKept = (node: Node): boolean =>
    part.has(node) ||
    (constants.has(outputOrOmitted(node, 0)) && !node.outputs.some((name) => opened.includes(name)));
  const cut = removeDeadNodes({
    ...graph,
    inputs: [...entries, ...weights.map(asInput)],
    outputs: graph.outputs.filter(({ name }) => computed.has(name)),
    nodes: graph.nodes.filter(isKept),
    initializers: new Map([...graph.initializers].filter(([name]) => !opened.includes(name))),
    valueInfo: new Map(),
  });
  return { graph: cut, entries: entries.map(({ name }) => name) };
}

/** Values that nodes read and that neither they compute nor anybody else knows beforehand. */
function bordersOf(nodes: ReadonlySet<Node>, known: ReadonlySet<string>): readonly string[] {
  const computed = new Set([...nodes].flatMap((node) => node.outputs));
  const read = new Set([...nodes].flatMap(namesRead));
  return [...read].filter((name) => !computed.has(name) && !known.has(name));
}

function asInput({ weight, dims }: OpenWeight): ValueInfo {
  return { name: weight, type: { elementType: "float32", shape: dims } };
}
