import { describeShape, shapeError } from "../../graph/shape_error.js";
import type { Graph, Node, Tensor, ValueType } from "../../graph/types.js";
import type { ChannelRule } from "./channels.js";
import type { KnownValue, NodeContext } from "./context.js";
import type { Emitter } from "./emitter.js";

/** Types of all outputs that the operator can have, in order. Throws `PenniError` "shape" where the inputs contradict the operator. */
export type ShapeRule = (context: NodeContext) => readonly ValueType[];

/** Known values of the outputs; called only for nodes whose inputs and outputs are small. */
export type ValueRule = (context: NodeContext) => readonly (KnownValue | undefined)[];

/** What a gradient rule sees; all shapes are static when gradients are built. */
export interface GradientContext {
  readonly node: Node;
  readonly opset: number;
  /** Emits nodes into the training graph. */
  readonly builder: Emitter;
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
export type ExpandRule = (builder: Emitter, node: Node) => readonly (string | undefined)[];

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
