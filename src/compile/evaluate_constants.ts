import { at, entryOf, inputOf, orDefault } from "../graph/at.js";
import { intAttribute } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import { capturedNames } from "../graph/links.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import { elementCount, float32Tensor, numericTensor } from "../graph/tensor.js";
import type { ElementType, Graph, Node, Tensor } from "../graph/types.js";
import { ruleOf, standardOpset } from "../ops/core/definition.js";
import { isStatic } from "../ops/core/dims.js";
import { isInteger } from "../ops/core/element_types.js";
import { type Inference, inferGraph, nodeContext } from "../ops/inference/infer.js";
import { findOp } from "../ops/inference/registry.js";
import { isExactly } from "./exact_constants.js";
import type { Allowance } from "./interpreter.js";
import { ModuleStore, type ProgramMaker, runProgram } from "./run_program.js";

export interface ConstantLimits {
  /** A result may have that many more elements than the constants it is made of. */
  readonly growth: number;
  /** All results together may have that many more. */
  readonly totalGrowth: number;
}

/** Of what is computed on the way and not kept, nothing may have more elements than this, if it grows. */
const LARGEST_GROWN = 2 ** 22;
/** Nodes and products that are worth computing beforehand: some seconds. */
const MOST_NODES = 2 ** 14;
const MOST_PRODUCTS = 2 ** 31;

/** Elements read and written by all nodes together: so many, and more for each element of the model's own constants. */
const ELEMENTS = { base: 2 ** 25, perElement: 64 } as const;
/** Elements of other types than float32 are converted there and back, one by one. */
const CONVERTED = 16;
/** Rounds of interpreted loops, likewise. */
const ROUNDS = { base: 2 ** 21, perElement: 64 } as const;

/**
 * The graph without the nodes that depend on constants alone: an exporter may leave weights behind arithmetic (weight
 * normalisation and standardisation, casts, transpositions). What would make much out of little (Expand, Tile, Range)
 * stays, and so does what cannot be computed exactly enough: integers beyond 2^24, which float32 does not hold.
 * @param compile makes the program of a single node whose inputs are all constants
 * @param kept nodes that stay
 */
export function evaluateConstants(
  graph: Graph,
  compile: ProgramMaker,
  kept: ReadonlySet<Node>,
  limits: ConstantLimits,
): Graph {
  const evaluation = new Evaluation(graph, compile, kept);
  evaluation.run();
  return evaluation.nodes.size === 0 ? graph : withResults(graph, evaluation, limits);
}

/** One walk over a graph that computes what can be known. Results go when nothing can want them any more. */
class Evaluation {
  /** What was computed. */
  readonly nodes = new Set<Node>();
  readonly constants: Map<string, Tensor>;
  /** Elements of the constants that a value is made of. */
  private readonly sources = new Map<string, number>();
  /** By value, how many nodes that may stay read it. */
  private readonly readers = new Map<string, number>();
  private readonly inference: Inference;
  private readonly outputs: ReadonlySet<string>;
  private readonly allowance: Allowance;
  private readonly modules = new ModuleStore();
  private readonly mostElements: number;
  private elements = 0;
  private products = 0;

  constructor(
    private readonly graph: Graph,
    private readonly compile: ProgramMaker,
    private readonly kept: ReadonlySet<Node>,
  ) {
    this.constants = new Map(graph.initializers);
    this.inference = inferGraph(graph);
    this.outputs = new Set(graph.outputs.map((output) => output.name));
    for (const name of graph.nodes.flatMap(readOnce))
      this.readers.set(name, orDefault(this.readers.get(name), 0) + 1);
    for (const [name, tensor] of graph.initializers) this.sources.set(name, elementCount(tensor.dims));
    const own = [...this.sources.values()].reduce((sum, elements) => sum + elements, 0);
    this.mostElements = ELEMENTS.base + ELEMENTS.perElement * own;
    this.allowance = { rounds: ROUNDS.base + ROUNDS.perElement * own };
  }

  run(): void {
    for (const node of this.graph.nodes) {
      if (this.nodes.size >= MOST_NODES) return;
      if (!this.isConstant(node)) continue;
      const found = this.evaluate(node);
      if (found === undefined) continue;
      this.nodes.add(node);
      const source = readOnce(node).reduce((sum, name) => sum + entryOf(this.sources, name), 0);
      for (const [name, tensor] of found) {
        this.constants.set(name, tensor);
        this.sources.set(name, source);
      }
      if (this.growth(found) === 0) this.release(node);
    }
  }

  /** How many more elements values have than what they are made of. */
  growth(values: Iterable<readonly [string, Tensor]>): number {
    return [...values].reduce(
      (sum, [name, { dims }]) => sum + Math.max(0, elementCount(dims) - entryOf(this.sources, name)),
      0,
    );
  }

  /** A node whose results do not grow is certain to go, so it reads nothing any more. */
  private release(node: Node): void {
    for (const name of readOnce(node)) {
      const left = entryOf(this.readers, name) - 1;
      this.readers.set(name, left);
      if (left === 0 && !this.graph.initializers.has(name)) this.constants.delete(name);
    }
  }

  private isConstant(node: Node): boolean {
    return (
      !this.kept.has(node) &&
      node.inputs.every((name) => name === "" || this.constants.has(name)) &&
      !node.outputs.some((name) => this.outputs.has(name)) &&
      [...node.attributes.values()].every(({ kind }) => kind !== "opaque")
    );
  }

  private evaluate(node: Node): ReadonlyMap<string, Tensor> | undefined {
    const names = node.outputs.filter((name) => this.readers.has(name));
    const dims = names.map((name) => this.inference.types.get(name)?.shape);
    if (names.length === 0 || !dims.every(isStatic) || !this.isAffordable(node, dims)) return undefined;
    const used = node.inputs.flatMap((name): [string, Tensor][] => {
      const tensor = this.constants.get(name);
      return tensor === undefined ? [] : [[name, tensor]];
    });
    const types = names.map((name) => this.inference.types.get(name)?.elementType ?? "other");
    const read = used.map(([, tensor]) => tensor);
    if (!isExactly(node, read, types)) return undefined;
    const wanted = { ...node, outputs: node.outputs.map((name) => (names.includes(name) ? name : "")) };
    const data = this.compute(wanted, names, new Map(used));
    const tensors = data?.map((values, index) => tensorOf(at(types, index), at(dims, index), values));
    if (tensors === undefined || !tensors.every((tensor) => tensor !== undefined)) return undefined;
    return new Map(tensors.map((tensor, index) => [at(names, index), tensor]));
  }

  /** Whether the work is worth doing; it is then counted. */
  private isAffordable(node: Node, dims: readonly (readonly number[])[]): boolean {
    const sizes = node.inputs.map((name) =>
      name === "" ? 0 : elementCount(entryOf(this.constants, name).dims),
    );
    const read = sizes.reduce((sum, size) => sum + size, 0);
    const written = dims.reduce((sum, each) => sum + elementCount(each), 0);
    if (written > Math.max(read, LARGEST_GROWN)) return false;
    const { types, values } = this.inference;
    const context = nodeContext(node, standardOpset(this.graph), types, values);
    const outputs = dims.map((shape) => ({ elementType: "float32" as const, shape }));
    const products = orDefault(ruleOf(findOp(node)?.cost)?.(context, outputs), 0);
    const isFloat = [...node.inputs, ...node.outputs].every(
      (name) => (types.get(name)?.elementType ?? "float32") === "float32",
    );
    const elements = (read + written) * (isFloat ? 1 : CONVERTED);
    if (this.elements + elements > this.mostElements || this.products + products > MOST_PRODUCTS)
      return false;
    this.elements += elements;
    this.products += products;
    return true;
  }

  /** What a node computes; undefined if it cannot be compiled, about which others may complain. */
  private compute(
    node: Node,
    names: readonly string[],
    initializers: ReadonlyMap<string, Tensor>,
  ): readonly Float32Array[] | undefined {
    const alone: Graph = {
      ...this.graph,
      inputs: [],
      outputs: names.map((name) => ({ name, type: undefined })),
      nodes: [ofOneImage(node, initializers)],
      initializers,
      valueInfo: new Map(),
      metadata: new Map(),
    };
    try {
      const values = runProgram(alone, this.compile, this.allowance, this.modules);
      return names.map((name) => entryOf(values, name));
    } catch (error) {
      if (error instanceof PenniError) return undefined;
      throw error;
    }
  }
}

/**
 * BatchNormalization in training mode over one image, as weight standardisation is often written, normalises each
 * channel over its pixels, which InstanceNormalization says too.
 */
function ofOneImage(node: Node, initializers: ReadonlyMap<string, Tensor>): Node {
  const isTraining = node.op === "BatchNormalization" && intAttribute(node, "training_mode") === 1;
  if (!isTraining || initializers.get(inputOf(node, 0))?.dims[0] !== 1) return node;
  return { ...node, op: "InstanceNormalization", inputs: node.inputs.slice(0, 3) };
}

function tensorOf(type: ElementType, dims: readonly number[], data: Float32Array): Tensor | undefined {
  if (type === "float32") return float32Tensor(dims, data);
  if (isInteger(type) && data.some((value) => Math.abs(value) >= 2 ** 24)) return undefined;
  return numericTensor(type, dims, Array.from(data));
}

/**
 * The results that other nodes read become initializers, unless one is much larger than what it is made of: then its
 * node stays, and reads what it is computed from.
 */
function withResults(graph: Graph, evaluation: Evaluation, limits: ConstantLimits): Graph {
  const wanted = new Set(graph.outputs.map((output) => output.name));
  const initializers = new Map(graph.initializers);
  const removed = new Set<Node>();
  let left = limits.totalGrowth;
  for (const node of graph.nodes.toReversed()) {
    const found = evaluation.nodes.has(node) ? wantedOf(node, wanted, evaluation) : undefined;
    const growth = found === undefined ? Number.POSITIVE_INFINITY : evaluation.growth(found);
    if (found !== undefined && growth <= Math.min(limits.growth, left)) {
      left -= growth;
      removed.add(node);
      for (const [name, tensor] of found) initializers.set(name, tensor);
      continue;
    }
    for (const name of readOnce(node)) wanted.add(name);
  }
  if (removed.size === 0) return graph;
  const nodes = graph.nodes.filter((node) => !removed.has(node));
  return removeDeadNodes({ ...graph, nodes, initializers });
}

function wantedOf(
  node: Node,
  wanted: ReadonlySet<string>,
  { constants }: Evaluation,
): readonly (readonly [string, Tensor])[] {
  return node.outputs.flatMap((name): [string, Tensor][] => {
    const tensor = wanted.has(name) ? constants.get(name) : undefined;
    return tensor === undefined ? [] : [[name, tensor]];
  });
}

/** The values that a node reads, each once. */
function readOnce(node: Node): readonly string[] {
  return [...new Set([...node.inputs, ...capturedNames(node)])].filter((name) => name !== "");
}
