import { PenniError } from "../graph/errors.js";
import type { Graph, Node } from "../graph/types.js";
import { namesRead } from "../graph/verify.js";
import { INSTEAD_OF_ONE_MACHINE, isForOneMachine } from "../ops/core/machine_domains.js";
import { hasCountedSize } from "../ops/inference/counted_sizes.js";
import { findOp } from "../ops/inference/registry.js";

const NAMES_SHOWN = 6;

/**
 * The error for operators that have no lowering: which, why where it is known, and where the network can end so that
 * what is before them is compiled.
 * @param found the nodes without a lowering
 * @param model the graph as it was given, whose names are known to whoever reads the error
 */
export function operatorsError(graph: Graph, found: readonly Node[], model: Graph): PenniError {
  const unknown = causes(graph, found);
  const [first] = unknown;
  const all = [...new Set(unknown.map(({ op }) => op))].join(", ");
  const counted = unknown.find(hasCountedSize);
  const reason =
    counted === undefined
      ? ""
      : `; how large the result of ${counted.op} is depends on the data, and compiled programs have fixed sizes`;
  return new PenniError("unsupported", `operators that cannot be compiled: ${all}${reason}`, {
    ...(first === undefined ? {} : { node: first.name, op: first.op }),
    advice: unknown.some(isForOneMachine)
      ? INSTEAD_OF_ONE_MACHINE
      : adviceFor(
          borderBefore(graph, unknown, model),
          unknown.some(({ op }) => op === "NonMaxSuppression"),
        ),
  });
}

/** Operators without a lowering but for those that have none only since they stand behind others, and types end there. */
function causes(graph: Graph, found: readonly Node[]): readonly Node[] {
  const isFound = new Set(found);
  const untyped = new Set<string>();
  return graph.nodes.filter((node) => {
    const isBehind = namesRead(node).some((name) => untyped.has(name));
    if (isBehind || isFound.has(node)) for (const name of node.outputs) untyped.add(name);
    return isFound.has(node) && !(isBehind && findOp(node)?.expand !== undefined);
  });
}

function adviceFor(border: readonly string[], isSelection: boolean): string {
  if (border.length === 0) return "Leave these parts to another runtime: cut the model before them";
  const shown = border.slice(0, NAMES_SHOWN).map((name) => `"${name}"`);
  const more = border.length > shown.length ? ` and ${border.length - shown.length} more` : "";
  return `End the network before them: make ${shown.join(", ")}${more} its outputs (onnx.utils.extract_model does so), and compute the rest elsewhere${isSelection ? " (findBoxes of penni/boxes chooses among boxes)" : ""}`;
}

/**
 * The outputs of what can be computed without some nodes: the values that these, and what is behind them, take from it,
 * and the network's own; not what constants make alone, as the weights of decomposed layers, which stay with what is
 * behind. Those that have a name in the model as it was given, or none.
 */
function borderBefore(graph: Graph, left: readonly Node[], model: Graph): readonly string[] {
  const isLeft = new Set(left);
  const lost = new Set<string>();
  const [before, behind]: [Node[], Node[]] = [[], []];
  for (const node of graph.nodes) {
    const isLost = isLeft.has(node) || namesRead(node).some((name) => lost.has(name));
    (isLost ? behind : before).push(node);
    if (isLost) for (const name of node.outputs) lost.add(name);
  }
  const computed = computedFromInputs(graph, before);
  const own = graph.outputs.map(({ name }) => name).filter((name) => computed.has(name));
  const border = new Set([...own, ...behind.flatMap(namesRead).filter((name) => computed.has(name))]);
  const named = new Set(model.nodes.flatMap(({ outputs }) => outputs));
  return [...border].every((name) => named.has(name)) ? [...border] : [];
}

/** What some of the nodes compute, in order, from more than constants. */
function computedFromInputs(graph: Graph, nodes: readonly Node[]): ReadonlySet<string> {
  const given = new Set(graph.inputs.map(({ name }) => name).filter((name) => !graph.initializers.has(name)));
  const computed = new Set<string>();
  for (const node of nodes) {
    if (!namesRead(node).some((name) => given.has(name) || computed.has(name))) continue;
    for (const name of node.outputs) computed.add(name);
  }
  return computed;
}
