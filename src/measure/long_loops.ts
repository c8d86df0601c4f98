import { hasOutput } from "../graph/at.js";
import { intAttributeOr } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import { innerNodes } from "../graph/links.js";
import { inputOrOmitted, outputOrOmitted } from "../graph/operands.js";
import type { Attribute, Branch, Graph, InnerNode, Node, ValueInfo } from "../graph/types.js";
import { namesRead } from "../graph/verify.js";
import { type Body, decodeBody } from "../onnx/read.js";
import type { KnownValue } from "../ops/core/context.js";
import { isStatic } from "../ops/core/dims.js";
import { knownNumbers } from "../ops/core/rearrange.js";
import { ForwardInference } from "../ops/inference/infer.js";

/** A loop that is run only to learn a shape makes at most so many turns. */
const MOST_TURNS = 2 ** 16;

/**
 * The nodes that may loop for long: Loop and Scan whose number of turns is not known to be small before the graph runs,
 * loops inside loops, a branch with such a one, and operators of other domains with subgraphs.
 */
export function longLoops(graph: Graph): ReadonlySet<Node> {
  if (!graph.nodes.some(hasSubgraph)) return new Set();
  const long = new Set<Node>();
  const inference = inferredAnyhow(graph);
  for (const node of graph.nodes) if (isLong(node, graph, inference)) long.add(node);
  return long;
}

export const hasSubgraph = (node: Node): boolean =>
  [...node.attributes.values()].some(({ kind }) => kind === "opaque");

export const isStandard = ({ domain }: InnerNode): boolean => domain === "" || domain === "ai.onnx";

const isLoop = ({ op }: InnerNode): boolean => op === "Loop" || op === "Scan";

/** What is known before the graph runs, whatever the file declares; of inputs that contradict the nodes, nothing. */
export function inferredAnyhow(graph: Graph): ForwardInference {
  const untyped = ({ name }: ValueInfo): ValueInfo => ({ name, type: undefined });
  const undeclared: Graph = { ...graph, outputs: graph.outputs.map(untyped), valueInfo: new Map() };
  try {
    return visited(undeclared);
  } catch (error) {
    if (error instanceof PenniError) return visited({ ...undeclared, inputs: graph.inputs.map(untyped) });
    throw error;
  }
}

function visited(graph: Graph): ForwardInference {
  const inference = new ForwardInference(graph);
  for (const node of graph.nodes) inference.visit(node);
  return inference;
}

function isLong(node: Node, graph: Graph, known: ForwardInference): boolean {
  const inner = innerNodes(node);
  if (!isStandard(node)) return inner.length > 0;
  switch (node.op) {
    case "If":
      return [...node.attributes.values()].some((attribute) => isLongBranch(attribute, graph, known));
    case "Loop":
      return inner.some(isLoop) || !(isFewTurns(node, known) || endsByCounting(node, graph, known));
    case "Scan":
      return inner.some(isLoop) || !isShortScan(node, known);
    default:
      return inner.some(isLoop);
  }
}

/** Without a number of turns, or with one that is computed while the model runs, the condition decides. */
function isFewTurns(node: Node, known: ForwardInference): boolean {
  const turns = knownNumber(known, inputOrOmitted(node, 0));
  return turns !== undefined && turns <= MOST_TURNS;
}

/** What is known of a value before the graph runs, if it is a number; of several the first. */
export function knownNumber({ values }: ForwardInference, name: string): number | undefined {
  return knownNumbers(values.get(name))?.[0];
}

/** Nodes that are looked at to follow a loop's condition, over all its turns. */
const MOST_FOLLOWED = 2 ** 14;

/** Whether a loop's condition follows from what it counts (turns, or a number that it carries along), and soon fails. */
function endsByCounting(node: Node, graph: Graph, known: ForwardInference): boolean {
  const [attribute] = node.attributes.values();
  const body = attribute === undefined ? undefined : bodyOf(attribute);
  // Names mean one value each in a sound file; here, no other must be taken for what the loop carries along.
  if (body === undefined || !hasOutput(body, 0) || body.inputs.some((name) => known.types.has(name)))
    return false;
  const [turnName, goes, condition] = [
    inputOrOmitted(body, 0),
    inputOrOmitted(body, 1),
    outputOrOmitted(body, 0),
  ];
  // What the loop carries along: the body's name for it, and for what it is in the next turn.
  const carried = new Map(body.inputs.slice(2).map((name, at) => [name, outputOrOmitted(body, at + 1)]));
  const nodes = nodesBehind(body, condition, carried);
  let values = new Map(
    body.inputs.slice(2).map((name, at) => [name, known.values.get(inputOrOmitted(node, at + 2))]),
  );
  for (let turn = 0; turn * (nodes.length + 1) <= MOST_FOLLOWED; turn += 1) {
    const given = new Map(
      [...values].flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
    );
    given.set(goes, TRUE).set(turnName, { type: "int64", dims: [], elements: [turn] });
    const scope = branchScope({ ...body, nodes }, graph, known, given);
    const next = knownNumber(scope, condition);
    if (!nodes.every((each) => isExact(each, scope.values))) return false;
    if (next !== 1) return next === 0;
    values = new Map([...carried].map(([name, result]) => [name, scope.values.get(result)]));
  }
  return false;
}

/** Whether a node's results are known as the runtime will have them: of whole numbers that neither it nor we round. */
function isExact(node: Node, values: ReadonlyMap<string, KnownValue>): boolean {
  const isRight = (value: KnownValue | undefined): boolean =>
    value !== undefined &&
    ["int32", "int64", "bool"].includes(value.type) &&
    value.elements.every((element) => typeof element === "number" && Math.abs(element) < 2 ** 31);
  const read = namesRead(node).filter((name) => values.has(name));
  return (
    read.every((name) => isRight(values.get(name))) &&
    node.outputs.every((name) => name === "" || isRight(values.get(name)))
  );
}

/** The nodes of a body that a value of it depends on, in their order; what is carried along depends on the turn before. */
function nodesBehind(body: Body, wanted: string, carried: ReadonlyMap<string, string>): readonly Node[] {
  const names = new Set([wanted]);
  for (let before = 0; before < names.size; ) {
    before = names.size;
    for (const node of body.nodes.toReversed())
      if (node.outputs.some((name) => names.has(name))) for (const name of namesRead(node)) names.add(name);
    for (const [name, result] of carried) if (names.has(name)) names.add(result);
  }
  return body.nodes.filter(({ outputs }) => outputs.some((name) => names.has(name)));
}

export const TRUE: KnownValue = { type: "bool", dims: [], elements: [1] };

/** A body that contradicts itself is no loop: whoever runs it says so. */
export function bodyOf(attribute: Parameters<typeof decodeBody>[0]): Body | undefined {
  try {
    return decodeBody(attribute);
  } catch (error) {
    if (error instanceof PenniError) return undefined;
    throw error;
  }
}

/** Scan makes a turn for each slice of what it goes over, along whatever axis. */
function isShortScan(node: Node, { types }: ForwardInference): boolean {
  const scanned = scannedInputs(node);
  return (scanned.length > 0 ? scanned : node.inputs).every((name) => {
    const shape = types.get(name)?.shape;
    return isStatic(shape) && shape.every((size) => size <= MOST_TURNS);
  });
}

/** What Scan goes over: the last of its inputs; none where a file does not say how many. */
export function scannedInputs(node: Node): readonly string[] {
  const count = intAttributeOr(node, "num_scan_inputs", 0);
  return count > 0 ? node.inputs.slice(-count) : [];
}

function isLongBranch(attribute: Attribute, graph: Graph, outside: ForwardInference): boolean {
  if (attribute.kind !== "opaque") return false;
  const { branch, inner = [] } = attribute;
  if (inner.every((node) => isStandard(node) && !isLoop(node))) return false;
  if (branch === undefined) return inner.some(isLoop);
  const scope = branchScope(branch, graph, outside);
  return branch.nodes.some((node) => isLong(node, graph, scope));
}

/** What is known inside a branch, of the values outside that it reads as well, and of others that are given. */
export function branchScope(
  { nodes, initializers }: Pick<Branch, "nodes" | "initializers">,
  graph: Graph,
  outside: ForwardInference,
  given: ReadonlyMap<string, KnownValue> = new Map(),
): ForwardInference {
  const scope = new ForwardInference({
    ...graph,
    inputs: [],
    outputs: [],
    initializers,
    valueInfo: new Map(),
  });
  for (const name of nodes.flatMap(namesRead)) {
    const [type, value] = [outside.types.get(name), outside.values.get(name)];
    if (type !== undefined && !initializers.has(name)) scope.types.set(name, type);
    if (value !== undefined && !initializers.has(name)) scope.values.set(name, value);
  }
  for (const [name, value] of given) {
    scope.types.set(name, { elementType: value.type, shape: value.dims });
    scope.values.set(name, value);
  }
  try {
    for (const node of nodes) scope.visit(node);
  } catch (error) {
    if (!(error instanceof PenniError)) throw error;
  }
  return scope;
}
