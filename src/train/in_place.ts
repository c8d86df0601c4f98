import { inputOf, listOf, outputOf } from "../graph/at.js";
import { attributes } from "../graph/attributes.js";
import { freshNames, usedNames, withInitializers } from "../graph/edit.js";
import { type GraphLinks, linkGraph } from "../graph/links.js";
import { outputOrOmitted } from "../graph/operands.js";
import { elementCount, int64Tensor } from "../graph/tensor.js";
import type { Graph, Node } from "../graph/types.js";
import type { Handling } from "../ops/core/definition.js";
import { findOp } from "../ops/inference/registry.js";
import type { StateSlot } from "./state_slot.js";
import { rateOf, type TrainingStep } from "./step.js";

/** Smaller values keep a second buffer: 256 KiB are not worth a node. */
const LEAST_ELEMENTS = 1 << 16;

/**
 * Lets a step write its large parameters and velocities over those it reads, so that the state needs no second
 * buffer. The gradient to a layer's input reads the layer's parameter too, and nothing says that it must come before
 * the update: here the update's learning rate is made to depend on it.
 */
export function writeInPlace(step: TrainingStep): TrainingStep {
  const graph = orderUpdates(
    step.graph,
    [...step.parameters].filter(([, slot]) => isLarge(slot)),
  );
  const links = linkGraph(graph);
  const marked = (slots: ReadonlyMap<string, StateSlot>): ReadonlyMap<string, StateSlot> =>
    new Map(
      [...slots].map(([name, slot]) => [
        name,
        { ...slot, inPlace: isLarge(slot) && lateReaders(links, slot).length === 0 },
      ]),
    );
  return { ...step, graph, parameters: marked(step.parameters), velocities: marked(step.velocities) };
}

const isLarge = ({ dims }: StateSlot): boolean => elementCount(dims) >= LEAST_ELEMENTS;

/** The nodes that compute with a slot's old value and need not be done when its new value is written. */
export function lateReaders(links: GraphLinks, { input, output }: StateSlot): readonly Node[] {
  const before = nodesBefore(links, output);
  return computingReaders(links, input).filter((node) => !before.has(node));
}

/** The nodes that a value is computed by, directly or not. */
function nodesBefore({ producers }: GraphLinks, output: string): ReadonlySet<Node> {
  const found = new Set<Node>();
  const names = [output];
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    const node = producers.get(name);
    if (node === undefined || found.has(node)) continue;
    found.add(node);
    names.push(...node.inputs);
  }
  return found;
}

/** The runtime's own, between plain and blocked layouts. */
const REORDERING: ReadonlySet<string> = new Set(["ReorderInput", "ReorderOutput"]);

/**
 * Whether a node hands on its input's elements. The runtime may drop such nodes, or let them share memory with their
 * input: whoever reads their output may read the input's memory.
 */
function handsOn(node: Node): boolean {
  const handling = findOp(node)?.elements;
  return REORDERING.has(node.op) || (handling !== undefined && handsOnElements[handling]);
}

const handsOnElements: Readonly<Record<Handling, boolean>> = {
  kept: true,
  reshaped: true,
  moved: true,
  padded: true,
  converted: true,
  picked: false,
  averaged: false,
  interpolated: false,
};

function computingReaders({ readers }: GraphLinks, input: string): readonly Node[] {
  const found = new Set<Node>();
  const names = [input];
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    for (const node of listOf(readers, name)) {
      if (handsOn(node)) names.push(...node.outputs);
      else found.add(node);
    }
  }
  return [...found];
}

/** Makes the rates of these parameters' updates wait for whatever still reads the parameters. */
function orderUpdates(graph: Graph, parameters: readonly (readonly [string, StateSlot])[]): Graph {
  const links = linkGraph(graph);
  const awaited = new Map(
    parameters.map(([name, slot]) => [
      rateOf(name),
      lateReaders(links, slot).flatMap(({ outputs }) => outputs.slice(0, 1)),
    ]),
  );
  if ([...awaited.values()].every((values) => values.length === 0)) return graph;
  const fresh = freshNames(usedNames(graph));
  const [all, first] = [fresh("penni/all"), fresh("penni/first")];
  const constants = new Map([
    [all, int64Tensor([1], [-1])],
    [first, int64Tensor([], [0])],
  ]);
  const nodes = graph.nodes.flatMap((node): readonly Node[] => {
    const values = listOf(awaited, outputOrOmitted(node, 0));
    return values.length === 0 ? [node] : waiting(node, values, { all, first, fresh });
  });
  return { ...withInitializers(graph, constants), nodes };
}

interface WaitingNames {
  /** Constants: the shape and the index that take a value's first element. */
  readonly all: string;
  readonly first: string;
  readonly fresh: (stem: string) => string;
}

/**
 * In place of a node that hands on a scalar: nodes that do so once all of `values` are known. x < x is false for every
 * x, NaN included.
 */
function waiting(
  node: Node,
  values: readonly string[],
  { all, first, fresh }: WaitingNames,
): readonly Node[] {
  let scalar = inputOf(node, 0);
  return values.flatMap((value, index) => {
    const [row, element, never] = [fresh("penni/row"), fresh("penni/element"), fresh("penni/never")];
    const result = index === values.length - 1 ? outputOf(node, 0) : fresh("penni/rate");
    const nodes = [
      standardNode("Reshape", [value, all], row),
      standardNode("Gather", [row, first], element),
      standardNode("Less", [element, element], never),
      standardNode("Where", [never, scalar, scalar], result),
    ];
    scalar = result;
    return nodes;
  });
}

function standardNode(op: string, inputs: readonly string[], output: string): Node {
  return { name: "", op, domain: "", inputs, outputs: [output], attributes: attributes({}) };
}
