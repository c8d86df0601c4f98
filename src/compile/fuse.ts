import { at, countOf, inputOf, listOf, orDefault, outputOf, present } from "../graph/at.js";
import { type GraphLinks, linkGraph } from "../graph/links.js";
import { elementCount, numericData } from "../graph/tensor.js";
import type { Graph, Node } from "../graph/types.js";
import { isStatic } from "../ops/core/dims.js";
import { isFloat } from "../ops/core/element_types.js";
import type { Inference } from "../ops/inference/infer.js";
import type { ElementContext, ElementOperation } from "./lower/definition.js";
import { findLowering } from "./lower/registry.js";

/** A node, and the nodes behind it that its kernel does in passing. */
export interface Operation {
  readonly node: Node;
  /** Each computes an element of what those before it made of the same element. */
  readonly steps: readonly FusedStep[];
  /** Other values of the result's shape that the steps read. */
  readonly sides: readonly string[];
  /** What the last of the nodes is called that it computes; other outputs keep their names. */
  readonly output: string;
}

export interface FusedStep {
  readonly node: Node;
  readonly operation: ElementOperation;
  readonly operands: readonly FusedOperand[];
}

export type FusedOperand =
  /** What a step has made, the first of them 1; 0 is the node's own result. */
  | { readonly kind: "made" | "side"; readonly index: number }
  | { readonly kind: "constant"; readonly value: number };

/** Longer chains would be names and kernels that nobody can read. */
const MOST_STEPS = 8;
const MOST_SIDES = 2;

/**
 * The operations of a graph in an order in which they can run. What takes epilogues takes along the nodes behind it that
 * compute each element by itself, of what it makes, of constants and of a few other values of the same shape, as far as
 * nobody else reads what lies between.
 */
export function fuseOperations(
  graph: Graph,
  inference: Inference,
  contextOf: (node: Node) => ElementContext,
): readonly Operation[] {
  const links = linkGraph(graph);
  const places = new Map(graph.nodes.map((node, place) => [node, place]));
  const fusion: Fusion = { links, inference, contextOf, places, taken: new Set() };
  // By the last of its nodes, before which its other values may be computed.
  const byLast = new Map<Node, Operation>();
  for (const node of graph.nodes) {
    if (fusion.taken.has(node)) continue;
    const operation = withSteps(node, fusion);
    for (const step of operation.steps) fusion.taken.add(step.node);
    byLast.set(operation.steps.at(-1)?.node ?? node, operation);
  }
  // A node that another takes along, and is not its last, has no operation.
  return graph.nodes.map((node) => byLast.get(node)).filter((operation) => operation !== undefined);
}

interface Fusion {
  readonly links: GraphLinks;
  readonly inference: Inference;
  readonly contextOf: (node: Node) => ElementContext;
  readonly places: ReadonlyMap<Node, number>;
  /** Nodes that those before them took along. */
  readonly taken: Set<Node>;
}

/** Step by step as far as it goes; what counts is the longest part of it between which nobody else reads. */
function withSteps(node: Node, fusion: Fusion): Operation {
  let best: Operation = { node, steps: [], sides: [], output: orDefault(node.outputs[0], "") };
  if (findLowering(node)?.takesEpilogue !== true || best.output === "") return best;
  const chain: Chain = { made: [best.output], steps: [], sides: [] };
  while (chain.steps.length < MOST_STEPS) {
    const next = nextReader(chain, fusion);
    if (next === undefined || !append(chain, next, fusion)) break;
    if (!isClosed(chain, fusion)) continue;
    best = {
      node,
      steps: [...chain.steps],
      sides: [...chain.sides],
      output: present(chain.made.at(-1)),
    };
  }
  return best;
}

/** A chain while it grows. */
interface Chain {
  readonly made: string[];
  readonly steps: FusedStep[];
  readonly sides: string[];
}

/** The first node that reads something of the chain and is not part of it; undefined if another operation took it. */
function nextReader({ made, steps }: Chain, { links, places, taken }: Fusion): Node | undefined {
  const inside = new Set(steps.map((step) => step.node));
  const place = (node: Node): number => countOf(places, node);
  const [first] = made
    .flatMap((name) => listOf(links.readers, name))
    .filter((reader) => !inside.has(reader))
    .toSorted((one, other) => place(one) - place(other));
  return first === undefined || taken.has(first) ? undefined : first;
}

/** Whether the node could be made a step of the chain. */
function append(chain: Chain, node: Node, fusion: Fusion): boolean {
  const operation = findLowering(node)?.element?.(fusion.contextOf(node));
  const { made } = chain;
  if (operation === undefined || node.outputs.length !== 1) return false;
  if (!isAlike(outputOf(node, 0), at(made, 0), fusion)) return false;
  const sides = [...chain.sides];
  const operands: FusedOperand[] = [];
  for (let index = 0; index < operation.operands; index++) {
    const operand = operandOf(inputOf(node, index), { made, sides }, fusion);
    if (operand === undefined) return false;
    operands.push(operand);
  }
  chain.steps.push({ node, operation, operands });
  chain.made.push(outputOf(node, 0));
  chain.sides.splice(0, chain.sides.length, ...sides);
  return true;
}

/** @param sides are added to where an operand is a further one */
function operandOf(
  name: string,
  { made, sides }: Pick<Chain, "made" | "sides">,
  fusion: Fusion,
): FusedOperand | undefined {
  const index = made.indexOf(name);
  if (index >= 0) return { kind: "made", index };
  const tensor = fusion.links.graph.initializers.get(name);
  if (tensor !== undefined && elementCount(tensor.dims) === 1)
    return { kind: "constant", value: present(numericData(tensor)[0]) };
  if (!isAlike(name, at(made, 0), fusion)) return undefined;
  if (!sides.includes(name)) sides.push(name);
  return sides.length > MOST_SIDES ? undefined : { kind: "side", index: sides.indexOf(name) };
}

/** Whether two values are floats of the same shape. */
function isAlike(one: string, other: string, { inference }: Fusion): boolean {
  const [a, b] = [inference.types.get(one), inference.types.get(other)];
  if (a === undefined || b === undefined || !isFloat(a.elementType) || !isFloat(b.elementType)) return false;
  return isStatic(a.shape) && isStatic(b.shape) && JSON.stringify(a.shape) === JSON.stringify(b.shape);
}

/** Whether nobody else reads what lies between the node and the last step. */
function isClosed({ made, steps }: Chain, { links }: Fusion): boolean {
  const inside = new Set(steps.map((step) => step.node));
  return made
    .slice(0, -1)
    .every(
      (name) =>
        !links.outputNames.has(name) && listOf(links.readers, name).every((reader) => inside.has(reader)),
    );
}
