import { orDefault } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";
import { ofLatest } from "../../graph/of_latest.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import { elementCount, isPossibleShape, numericData } from "../../graph/tensor.js";
import type { Graph, Node, Shape, Tensor, ValueInfo, ValueType } from "../../graph/types.js";
import type { KnownValue, NodeContext } from "../core/context.js";
import { standardOpset } from "../core/definition.js";
import { isStatic } from "../core/dims.js";
import { findOp } from "./registry.js";

/** Values with more elements than this are not propagated: shape arithmetic is small, weights are not. */
const LARGEST_PROPAGATED = 4096;

/** Elements of all values of a graph that are propagated: behind so many, only short lists are. */
const MOST_PROPAGATED = 2 ** 24;
const SHORT_LIST = 16;

/** What is known of every value of a graph before it runs. */
export interface Inference {
  readonly types: ReadonlyMap<string, ValueType>;
  readonly values: ReadonlyMap<string, KnownValue>;
}

export function tensorType(tensor: Tensor): ValueType {
  return { elementType: tensor.type, shape: tensor.dims };
}

/** A small numeric tensor as a known value; undefined for large or non-numeric ones. */
export function knownValue(tensor: Tensor): KnownValue | undefined {
  if (elementCount(tensor.dims) > LARGEST_PROPAGATED) return undefined;
  if (tensor.type === "string" || tensor.type === "other" || tensor.type === "bfloat16") return undefined;
  return { type: tensor.type, dims: tensor.dims, elements: numericData(tensor) };
}

/**
 * The context of one node over the types and values known so far, which are looked up where somebody asks: of a node
 * with thousands of inputs, each of thousands of others may want to know the operator only.
 */
export function nodeContext(
  node: Node,
  opset: number,
  types: ReadonlyMap<string, ValueType>,
  values: ReadonlyMap<string, KnownValue>,
): NodeContext {
  let [inputs, known]: [NodeContext["inputs"]?, NodeContext["values"]?] = [];
  return {
    node,
    opset,
    get inputs() {
      inputs ??= node.inputs.map((name) => types.get(name));
      return inputs;
    },
    get values() {
      known ??= node.inputs.map((name) => values.get(name));
      return known;
    },
  };
}

/**
 * Output types of one node; an operator that Penni does not know yields no information.
 * @throws PenniError "shape" if the node contradicts its inputs, has more outputs than its operator, or its result
 *   would have an impossible shape.
 */
export function inferNode(context: NodeContext): readonly (ValueType | undefined)[] {
  const definition = findOp(context.node);
  // Nothing can be said of what depends on an operator that Penni does not know.
  const blind = context.node.inputs.some((name, index) => name !== "" && context.inputs[index] === undefined);
  if (definition === undefined || blind) return context.node.outputs.map(() => undefined);
  for (const index of orDefault(definition.scalars, [])) checkScalar(context, index);
  const types = definition.shape(context);
  checkOutputCount(context.node, types.length);
  for (const { shape } of types) if (shape !== undefined) checkPossible(context.node, shape);
  return types;
}

/** An empty constant has no number to compute with, and a longer one several. */
function checkScalar({ node, inputs }: NodeContext, index: number): void {
  const shape = inputs[index]?.shape;
  if (!isStatic(shape) || (shape.length <= 1 && elementCount(shape) === 1)) return;
  throw shapeError(node, `input ${index} must be one number`, "[] or [1]", describeShape(shape));
}

/** Nothing would be known of a further output, which no runtime gives. */
function checkOutputCount(node: Node, most: number): void {
  if (node.outputs.slice(most).every((name) => name === "")) return;
  throw shapeError(
    node,
    "it has more outputs than its operator",
    `at most ${most}`,
    `${node.outputs.length}`,
  );
}

/** Parameters of a hostile model make sizes that are negative, fractions, or beyond counting. */
function checkPossible(node: Node, shape: Shape): void {
  if (isPossibleShape(shape)) return;
  throw shapeError(
    node,
    "the result would have an impossible shape",
    "sizes from 0 on",
    describeShape(shape),
  );
}

function isLarge(type: ValueType | undefined): boolean {
  return isStatic(type?.shape) && elementCount(type.shape) > LARGEST_PROPAGATED;
}

/** Known values of the outputs of one node whose inputs are all typed, as far as they are small. */
export function inferValues(
  context: NodeContext,
  types: readonly (ValueType | undefined)[],
): readonly (KnownValue | undefined)[] {
  const definition = findOp(context.node);
  if (definition?.value === undefined || types.some(isLarge)) return [];
  return definition
    .value(context)
    .map((value) =>
      value === undefined || elementCount(value.dims) > LARGEST_PROPAGATED ? undefined : value,
    );
}

/** Combines a declared with an inferred type: the inferred dimension wins where it is known. */
function refine(node: Node, name: string, declared: ValueType | undefined, inferred: ValueType): ValueType {
  if (declared?.shape === undefined) return inferred;
  if (inferred.shape === undefined) return { elementType: inferred.elementType, shape: declared.shape };
  if (declared.shape.length !== inferred.shape.length) {
    throw new PenniError("shape", `output "${name}" has another rank than the model declares`, {
      node: node.name,
      op: node.op,
      expected: describeShape(declared.shape),
      found: describeShape(inferred.shape),
      advice: "The model contradicts itself; export it again",
    });
  }
  return { elementType: inferred.elementType, shape: mergeShapes(inferred.shape, declared.shape) };
}

function mergeShapes(preferred: Shape, other: Shape): Shape {
  return preferred.map((dim, axis) => {
    const alternative = other[axis];
    if (dim === undefined) return alternative;
    return typeof dim === "string" && typeof alternative === "number" ? alternative : dim;
  });
}

/** Types and known values, from the inputs and initializers of a graph on, node by node as they are given in order. */
export class ForwardInference implements Inference {
  readonly types = new Map<string, ValueType>();
  readonly values = new Map<string, KnownValue>();
  private readonly opset: number;
  private readonly outputs: ReadonlyMap<string, ValueInfo>;
  private readonly valueInfo: ReadonlyMap<string, ValueInfo>;
  private propagatedElements = 0;

  /** The nodes of the graph are not visited; its `valueInfo` may change until the node that it speaks of is. */
  constructor(graph: Graph) {
    this.opset = standardOpset(graph);
    this.outputs = new Map(graph.outputs.map((info) => [info.name, info]));
    this.valueInfo = graph.valueInfo;
    for (const input of graph.inputs) if (input.type !== undefined) this.types.set(input.name, input.type);
    for (const [name, tensor] of graph.initializers) this.define(name, tensor);
  }

  /** Adds an initializer. */
  define(name: string, tensor: Tensor): void {
    this.types.set(name, tensorType(tensor));
    const value = knownValue(tensor);
    if (value !== undefined) this.remember(name, value);
  }

  /**
   * Adds what is known of the outputs of a node whose inputs are known already, as far as they will be.
   * @throws PenniError "shape" if the node contradicts its inputs.
   */
  visit(node: Node): void {
    const context = nodeContext(node, this.opset, this.types, this.values);
    // Behind an operator that Penni does not know nothing can be said, unless the file declares it.
    const isTyped = node.inputs.every((name) => name === "" || this.types.has(name));
    const inferred = isTyped ? inferNode(context) : [];
    const propagated = isTyped ? inferValues(context, inferred) : [];
    node.outputs.forEach((name, index) => {
      if (name === "") return;
      const type = inferred[index];
      const fromFile = this.declaredType(name);
      if (type !== undefined) this.types.set(name, refine(node, name, fromFile, type));
      else if (fromFile !== undefined) this.types.set(name, fromFile);
      const value = propagated[index];
      if (value !== undefined) this.remember(name, value);
    });
  }

  /** What was measured of an output is among the intermediate values, and says more than the file does. */
  private declaredType(name: string): ValueType | undefined {
    return (this.valueInfo.get(name) ?? this.outputs.get(name))?.type;
  }

  private remember(name: string, value: KnownValue): void {
    const count = value.elements.length;
    if (count > SHORT_LIST && this.propagatedElements + count > MOST_PROPAGATED) return;
    this.propagatedElements += count;
    this.values.set(name, value);
  }
}

/**
 * Types of all values, and the known values of small constants, in one forward walk.
 * @throws PenniError "shape" if a node contradicts its inputs.
 */
export const inferGraph: (graph: Graph) => Inference = ofLatest(inferred);

function inferred(graph: Graph): Inference {
  const inference = new ForwardInference(graph);
  for (const node of graph.nodes) inference.visit(node);
  return inference;
}

/**
 * The dimensions of a value as numbers.
 * @throws PenniError "shape" if the shape is unknown or has a symbolic dimension.
 */
export function staticDims(types: ReadonlyMap<string, ValueType>, name: string): readonly number[] {
  const shape = types.get(name)?.shape;
  if (shape?.every((dim): dim is number => typeof dim === "number")) return shape as readonly number[];
  throw new PenniError("shape", `the shape of value "${name}" must be fully known here`, {
    expected: "fixed dimensions",
    found: describeShape(shape),
    advice:
      shape === undefined
        ? "An operator before it hides the shape, and penni inspect names it: run ONNX shape inference on the model, or replace it"
        : "Fix the input's dimensions with --input-shape",
  });
}
