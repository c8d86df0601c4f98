import { PenniError } from "../graph/errors.js";
import type { ElementType, Graph, Node, Shape, Tensor, ValueType } from "../graph/types.js";
import type { TypedBuilder } from "./builder.js";
import type { ChannelRule } from "./channels.js";

/**
 * A small constant that is known, perhaps only in part, before the model runs: what Shape, Gather, Concat
 * and the like compute. An element is a number, the name of a symbolic dimension, or unknown.
 */
export interface KnownValue {
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly elements: readonly (number | string | undefined)[];
}

/** What a rule may ask about the node at hand. Types and values are undefined where they are not known. */
export interface NodeContext {
  readonly node: Node;
  /** Version of the standard operator set. */
  readonly opset: number;
  readonly inputs: readonly (ValueType | undefined)[];
  /** Small constants that are known before the model runs (initializers and propagated values). */
  readonly values: readonly (KnownValue | undefined)[];
}

/** Types of all outputs that the operator can have, in order. Throws `PenniError` "shape" where the inputs contradict the operator. */
export type ShapeRule = (context: NodeContext) => readonly ValueType[];

/** Known values of the outputs; called only for nodes whose inputs and outputs are small. */
export type ValueRule = (context: NodeContext) => readonly (KnownValue | undefined)[];

/** What a gradient rule sees; all shapes are static when gradients are built. */
export interface GradientContext {
  readonly node: Node;
  readonly opset: number;
  /** Emits nodes into the training graph. */
  readonly builder: TypedBuilder;
  /** Gradient of the loss with respect to each output; undefined where the output does not reach the loss. */
  readonly outputGradients: readonly (string | undefined)[];
  /** Whether anybody needs the gradient of this input; rules skip the others. */
  readonly needs: readonly boolean[];
  /** Static dimensions of a value of the forward or the backward graph. */
  dims(name: string): readonly number[];
  /** The constant behind a name: an initializer, or a small value that is known before the model runs. */
  constant(name: string): Tensor | undefined;
}

/**
 * Gradient of the loss with respect to each input, undefined for those not needed or not differentiable.
 * A gradient may have the broadcast shape of its input: the driver sums it back.
 */
export type GradientRule = (context: GradientContext) => readonly (string | undefined)[];

/** Multiply-accumulates of the node for its (static) shapes. Operators without a rule cost none. */
export type CostRule = (context: NodeContext, outputs: readonly ValueType[]) => number;

/**
 * Writes a node in other operators: a composite of Penni's own in standard ones, a standard one in simpler ones.
 * @returns the names of the outputs, undefined where the node omits one
 */
export type ExpandRule = (builder: TypedBuilder, node: Node) => readonly (string | undefined)[];

/** Everything Penni knows about one operator. Each absent part is a clear error or a safe fallback. */
export interface OpDefinition {
  readonly type: string;
  readonly shape: ShapeRule;
  /** The outputs from this number on need not be listed, and nothing changes where they are not; default: none. */
  readonly optionalOutputs?: number;
  readonly value?: ValueRule;
  readonly gradient?: GradientRule;
  readonly channels?: ChannelRule;
  readonly cost?: CostRule;
  /** Composites (domain "penni"), and standard operators that the compiler knows in this form only. */
  readonly expand?: ExpandRule;
}

/** The error for a node whose inputs contradict its operator. */
export function shapeError(node: Node, problem: string, expected?: string, found?: string): PenniError {
  return new PenniError("shape", problem, {
    node: node.name,
    op: node.op,
    ...(expected === undefined ? {} : { expected }),
    ...(found === undefined ? {} : { found }),
  });
}

export function describeShape(shape: Shape | undefined): string {
  return shape === undefined ? "unknown shape" : `[${shape.map((dim) => dim ?? "?").join(", ")}]`;
}

/** The version of the standard operator set that a graph imports. */
export function standardOpset(graph: Graph): number {
  return graph.opsets.get("") ?? graph.opsets.get("ai.onnx") ?? 1;
}

/** Shape rule of operators whose only output has the type of the first input. */
export const sameTypeAsFirstInput: ShapeRule = ({ node, inputs: [x] }) => {
  if (x === undefined) throw shapeError(node, "the type of the input is unknown");
  return [x];
};

/** The dimensions of a type, all of which must be known. */
export function staticShape(node: Node, type: ValueType | undefined): readonly number[] {
  const shape = type?.shape;
  if (shape?.every((dim): dim is number => typeof dim === "number")) return shape as readonly number[];
  throw shapeError(node, "a shape must be fully known here", "fixed dimensions", describeShape(shape));
}
