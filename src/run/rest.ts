import { freshNames, usedNames } from "../graph/edit.js";
import { PenniError } from "../graph/errors.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import type { Graph, Node, Tensor, ValueInfo } from "../graph/types.js";
import { namesRead, verifyGraph } from "../graph/verify.js";
import { inferGraph } from "../ops/inference/infer.js";
import { upgradeOpset } from "../ops/passes/upgrade_opset.js";

/** A network in two: what can be run, and what is behind operators that cannot. */
export interface CutNetwork {
  /** Its outputs are those of the network that it computes, and what the rest reads. */
  readonly runnable: Graph;
  /** From these to the outputs of the network. */
  readonly rest: Graph;
}

/**
 * Cuts a network before every node of the given operators, so that what is before them can be compressed.
 * @throws PenniError "unsupported" if nothing is left before them
 */
export function cutBefore(graph: Graph, missing: readonly Node[]): CutNetwork {
  const ops = new Set(missing.map(({ op, domain }) => `${domain} ${op}`));
  const lost = new Set<string>();
  const behind = new Set<Node>();
  for (const node of graph.nodes) {
    if (!ops.has(`${node.domain} ${node.op}`) && !namesRead(node).some((name) => lost.has(name))) continue;
    behind.add(node);
    for (const name of node.outputs) if (name !== "") lost.add(name);
  }
  const before = graph.nodes.filter((node) => !behind.has(node));
  const rest = graph.nodes.filter((node) => behind.has(node));
  const read = new Set(rest.flatMap(namesRead));
  const computed = new Set(before.flatMap(({ outputs }) => outputs));
  const kept = graph.outputs.filter(({ name }) => !lost.has(name));
  const known = new Set(kept.map(({ name }) => name));
  const { types } = inferGraph(graph);
  const crossing = [...read]
    .filter((name) => computed.has(name) && !known.has(name))
    .map((name): ValueInfo => ({ name, type: types.get(name) }));
  const outputs = [...kept, ...crossing];
  if (before.length === 0 || outputs.length === 0) throw nothingBefore(missing);
  const initializers = [...graph.initializers].filter(([name]) => read.has(name));
  const fed = [...graph.inputs.filter(({ name }) => read.has(name)), ...outputs];
  const inputs = [...new Map(fed.map((info) => [info.name, info])).values()];
  return {
    runnable: removeDeadNodes({ ...graph, nodes: before, outputs }),
    rest: { ...graph, nodes: rest, inputs, initializers: new Map(initializers), metadata: new Map() },
  };
}

function nothingBefore([first]: readonly Node[]): PenniError {
  return new PenniError(
    "unsupported",
    "there is nothing before the operator that ONNX Runtime does not have",
    {
      ...(first === undefined ? {} : { node: first.name, op: first.op }),
      expected: "layers that can be run",
    },
  );
}

/**
 * The whole network again, of its first part as it has become. Constants of the rest keep apart from those of the first
 * part, which may have changed.
 */
export function joinRest(first: Graph, given: Graph): Graph {
  const rest = upgradeOpset(given);
  const fresh = freshNames(new Set([...usedNames(first), ...usedNames(rest)]));
  const renamed = new Map<string, string>();
  const initializers = new Map<string, Tensor>(first.initializers);
  for (const [name, tensor] of rest.initializers) {
    const own = first.initializers.has(name) ? fresh(name) : name;
    if (own !== name) renamed.set(name, own);
    initializers.set(own, tensor);
  }
  const nodes = rest.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((name) => renamed.get(name) ?? name),
  }));
  const opsets = new Map([...rest.opsets, ...first.opsets]);
  const valueInfo = new Map([...rest.valueInfo, ...first.valueInfo]);
  const whole = {
    ...first,
    opsets,
    nodes: [...first.nodes, ...nodes],
    initializers,
    valueInfo,
    outputs: rest.outputs,
  };
  verifyGraph(whole);
  return whole;
}
