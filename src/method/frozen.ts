import { orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { linkGraph } from "../graph/links.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph, Node } from "../graph/types.js";
import { namesRead } from "../graph/verify.js";
import { isStatic } from "../ops/core/dims.js";
import { add, mul, reduceSum } from "../ops/core/emit.js";
import type { TypedBuilder } from "../ops/inference/builder.js";
import { inferGraph } from "../ops/inference/infer.js";
import { findOp } from "../ops/inference/registry.js";
import { builderFor } from "../ops/passes/expand_composites.js";
import { buildGradients } from "../train/gradients.js";
import { trainableParameters } from "./parameters.js";

/** A node that no gradient passes. */
export interface Blockade {
  readonly node: Node;
  readonly reason: PenniError;
}

/** What cannot be trained, and why. */
export interface Trainability {
  /** Trainable weights, by initializer name, whose gradient would have to pass a blockade. */
  readonly frozen: ReadonlySet<string>;
  readonly blockades: readonly Blockade[];
  /** Whether any weight is left to train. */
  readonly isTrainable: boolean;
}

/**
 * Which weights of a network no gradient reaches from the given outputs, because a node between them has none. A weight
 * is frozen as a whole even if other ways lead round the blockade: part of a gradient would be a wrong one. An output
 * that no weight can be trained for does not count, unless no other is left.
 * @param outputs names of float32 outputs
 * @throws PenniError "shape" if the graph's input dimensions, the batch apart, are not fixed
 */
export function trainability(graph: Graph, outputs: readonly string[]): Trainability {
  const network = fixBatch(graph, 1);
  const weights = new Set(trainableParameters(network).keys());
  const passage = new Passage(network, weights, outputs);
  const useful = outputs.filter((output) => passage.trainsAnything(output));
  const blockades = passage.blockadesBefore(useful.length > 0 ? useful : outputs);
  const frozen = passage.weightsBehind(blockades);
  return { frozen: new Set(frozen), blockades, isTrainable: useful.length > 0 };
}

/** Where gradients from some outputs pass a network: found once for all of them. */
class Passage {
  private readonly blocked = new Map<Node, PenniError>();
  /** The inputs of each node to which a gradient goes on. */
  private readonly passed = new Map<Node, readonly string[]>();
  private readonly producers: ReadonlyMap<string, Node>;
  /** Values from which a gradient gets to a weight, or to a blockade. */
  private readonly reachesWeight: Set<string>;
  private readonly reachesBlockade = new Set<string>();

  constructor(
    network: Graph,
    private readonly weights: ReadonlySet<string>,
    outputs: readonly string[],
  ) {
    this.producers = linkGraph(network).producers;
    this.reachesWeight = new Set(weights);
    if (outputs.length === 0) return;
    checkShapes(network, outputs);
    const b = builderFor(network);
    for (const node of network.nodes) b.append(node);
    const losses = outputs.map((output) => squares(b, output));
    const loss = losses.reduce((sum, one) => add(b, sum, one));
    buildGradients(b, [...b.nodes], loss, [...weights], {
      blocked: (node, reason) => {
        this.blocked.set(node, reason);
      },
      passed: (node, inputs) => {
        this.passed.set(node, inputs);
      },
    });
    for (const node of network.nodes) this.note(node);
  }

  /** Notes what a gradient reaches that arrives at a node's outputs; after those of the nodes before it. */
  private note(node: Node): void {
    const inputs = this.passedBy(node);
    const isBlocked = this.blocked.has(node) || inputs.some((name) => this.reachesBlockade.has(name));
    const hasWeight = inputs.some((name) => this.reachesWeight.has(name));
    for (const name of node.outputs) {
      if (isBlocked) this.reachesBlockade.add(name);
      if (hasWeight) this.reachesWeight.add(name);
    }
  }

  /** The inputs of a node to which a gradient goes on: none where none arrives, or the node is a blockade. */
  private passedBy(node: Node): readonly string[] {
    return orDefault(this.passed.get(node), []);
  }

  /** Whether a weight gets its whole gradient from this output. */
  trainsAnything(output: string): boolean {
    if (!this.reachesWeight.has(output)) return false;
    if (!this.reachesBlockade.has(output)) return true;
    const { values, blockades } = this.walk([output]);
    const behind = new Set(this.weightsBehind(blockades));
    return [...values].some((name) => this.weights.has(name) && !behind.has(name));
  }

  /** The blockades that gradients from some outputs run into. */
  blockadesBefore(outputs: readonly string[]): readonly Blockade[] {
    const found = new Set(this.walk(outputs).blockades.map(({ node }) => node));
    return [...this.blocked].flatMap(([node, reason]) => (found.has(node) ? [{ node, reason }] : []));
  }

  /** The weights on which what goes into some blockades depends, on whatever way. */
  weightsBehind(blockades: readonly Blockade[]): readonly string[] {
    if (blockades.length === 0) return [];
    const behind = reached(
      blockades.flatMap(({ node }) => namesRead(node)),
      (name) => {
        const node = this.producers.get(name);
        return node === undefined ? [] : namesRead(node);
      },
    );
    return [...this.weights].filter((name) => behind.has(name));
  }

  /** All values that gradients from some outputs reach, and where they end. */
  private walk(outputs: readonly string[]): {
    readonly values: ReadonlySet<string>;
    readonly blockades: readonly Blockade[];
  } {
    const blockades: Blockade[] = [];
    const values = reached(outputs, (name) => {
      const node = this.producers.get(name);
      const reason = node === undefined ? undefined : this.blocked.get(node);
      if (node !== undefined && reason !== undefined) blockades.push({ node, reason });
      return node === undefined ? [] : this.passedBy(node);
    });
    return { values, blockades };
  }
}

/** Everything that can be reached from some names. */
function reached(from: readonly string[], next: (name: string) => readonly string[]): ReadonlySet<string> {
  const seen = new Set(from);
  // A set takes in what is added while it is walked.
  for (const name of seen) for (const other of next(name)) seen.add(other);
  return seen;
}

/** The sum of the squares of a value's elements, as a scalar. */
function squares(b: TypedBuilder, value: string): string {
  const axes = b.dims(value).map((_, axis) => axis);
  const squared = mul(b, value, value);
  return axes.length === 0 ? squared : reduceSum(b, squared, axes, false);
}

/** Refuses outputs behind an operator whose result has no fixed shape, though what it is given has. */
function checkShapes(network: Graph, outputs: readonly string[]): void {
  const node = nodeWithoutShape(network, outputs);
  if (node === undefined) return;
  const isKnown = findOp(node) !== undefined;
  throw new PenniError(
    "unsupported",
    isKnown
      ? "how large its result is depends on the data, so what is behind it cannot be trained"
      : "the shape of its result is not known, so what is behind it cannot be trained",
    {
      node: node.name,
      op: node.op,
      expected: isKnown
        ? "a result of a fixed size"
        : "an operator that Penni knows, or a fixed shape declared in the model",
      advice: isKnown
        ? `End the network before it: make ${quoted(namesRead(node).filter((name) => !network.initializers.has(name)))} its outputs`
        : "Run ONNX shape inference on the model, or replace the operator",
    },
  );
}

const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ");

/** The first node on the way to some outputs that makes a value without a fixed shape out of values that have one. */
function nodeWithoutShape(network: Graph, outputs: readonly string[]): Node | undefined {
  const { types } = inferGraph(network);
  const wanted = upstreamOf(network, outputs);
  const isOpen = (name: string): boolean => wanted.has(name) && !isStatic(types.get(name)?.shape);
  return network.nodes.find(
    (node) => node.outputs.some(isOpen) && (findOp(node) === undefined || !namesRead(node).some(isOpen)),
  );
}

/** The given values and all that they depend on. */
function upstreamOf(graph: Graph, names: readonly string[]): ReadonlySet<string> {
  const values = new Set(names);
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => values.has(name))) continue;
    for (const name of namesRead(node)) values.add(name);
  }
  return values;
}

/** The outputs that a network can be trained for: those of type float32, or of which the type is not known. */
export function floatOutputs(graph: Graph): readonly string[] {
  const { types } = inferGraph(graph);
  const isFloat = (name: string): boolean => (types.get(name)?.elementType ?? "float32") === "float32";
  return graph.outputs.map(({ name }) => name).filter(isFloat);
}
