import { shapeError } from "../../graph/shape_error.js";
import type { ElementType, Node, ValueType } from "../../graph/types.js";
import { allOperands, broadcasting, type LaneCombiner } from "../channels/elementwise.js";
import { broadcastShapes } from "../core/broadcast.js";
import type { ChannelRule } from "../core/channels.js";
import type { NodeContext } from "../core/context.js";
import {
  type Absence,
  type GradientRule,
  noProducts,
  type OpDefinition,
  sameTypeAsFirstInput,
  type ValueRule,
} from "../core/definition.js";
import { cast } from "../core/element_types.js";
import { div } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { applyToNumbers, type KnownElement, mapKnown, numericValue } from "../core/known_values.js";

/** The type of an element-wise operator's output: the inputs' broadcast shape (ONNX, opset 7 and later). */
export function broadcastType({ node, inputs }: NodeContext, elementType?: ElementType): ValueType {
  const known = inputs.filter((input) => input !== undefined);
  const [first, ...rest] = known;
  if (first === undefined) throw shapeError(node, "the types of all inputs are unknown");
  if (known.length < inputs.length) {
    return { elementType: elementType ?? first.elementType, shape: undefined };
  }
  const shape = rest.reduce((sum, { shape }) => broadcastShapes(node, sum, shape), first.shape);
  return { elementType: elementType ?? first.elementType, shape };
}

/** For operators whose output is constant almost everywhere: no input receives a gradient. */
export const noGradient: GradientRule = () => [];

/** What the derivative of y = f(x) may be written in: the names of x, y and the gradient dy. */
export interface UnaryParts {
  readonly b: Emitter;
  readonly node: Node;
  readonly x: string;
  readonly y: string;
  readonly dy: string;
}

/** A gradient rule that reaches only the first input. */
export function unaryGradient(gradient: (parts: UnaryParts) => string): GradientRule {
  return ({ builder: b, node, outputGradients: [dy], needs }) => {
    const [x] = node.inputs;
    const [y] = node.outputs;
    if (dy === undefined || x === undefined || y === undefined || needs[0] !== true) return [];
    return [gradient({ b, node, x, y, dy })];
  };
}

export interface UnaryOptions {
  /** dx from x, y and dy. */
  readonly gradient: (parts: UnaryParts) => string;
  /** The function itself, where it occurs in shape arithmetic. */
  readonly apply?: (x: number) => number;
  readonly channels: ChannelRule | Absence;
  readonly facts?: ElementwiseFacts;
}

/** What else a definition says of an element-wise operator. */
export type ElementwiseFacts = Pick<
  OpDefinition,
  "constants" | "elements" | "neverNegative" | "onBlocks" | "roundsIntegers"
>;

/** The definition of an element-wise operator of one input (further inputs are parameters). */
export function unaryOp(type: string, { gradient, apply, channels, facts }: UnaryOptions): OpDefinition {
  return {
    type,
    shape: sameTypeAsFirstInput,
    gradient: unaryGradient(gradient),
    channels,
    cost: noProducts,
    ...(apply === undefined ? {} : { value: numericValue(apply) }),
    ...facts,
  };
}

/** `whenNegative` where x < 0, elsewhere `otherwise`, with broadcasting. */
export function whereNegative(b: Emitter, x: string, whenNegative: string, otherwise: string): string {
  return b.emit("Where", [b.emit("Less", [x, b.scalar(0)]), whenNegative, otherwise]);
}

/** The names that the derivatives of y = f(left, right) may be written in. */
export interface BinaryParts {
  readonly b: Emitter;
  readonly node: Node;
  readonly left: string;
  readonly right: string;
  readonly y: string;
  readonly dy: string;
}

export interface BinaryOptions {
  readonly apply: (left: number, right: number) => number;
  /** The right operand that leaves the left one as it is: `x / 1`. It keeps symbolic dimensions alive. */
  readonly rightIdentity?: number;
  /** The same for the left operand: `1 * x`. */
  readonly leftIdentity?: number;
  /** How constant lanes combine, where it takes less than all operands to tell. */
  readonly lanes?: LaneCombiner;
  readonly leftGradient: (parts: BinaryParts) => string;
  readonly rightGradient: (parts: BinaryParts) => string;
  readonly facts?: ElementwiseFacts;
}

/** The definition of an element-wise operator of two broadcast inputs of one type. */
export function binaryOp(type: string, options: BinaryOptions): OpDefinition {
  return {
    type,
    shape: (context) => [broadcastType(context)],
    value: binaryValue(options),
    cost: noProducts,
    channels: broadcasting(options.lanes ?? allOperands(options.apply)),
    gradient: ({ builder: b, node, outputGradients: [dy], needs }) => {
      const [left, right] = node.inputs;
      const [y] = node.outputs;
      if (dy === undefined || left === undefined || right === undefined || y === undefined) return [];
      const parts = { b, node, left, right, y, dy };
      return [
        needs[0] === true ? options.leftGradient(parts) : undefined,
        needs[1] === true ? options.rightGradient(parts) : undefined,
      ];
    },
    ...options.facts,
  };
}

function binaryValue({ apply, leftIdentity, rightIdentity }: BinaryOptions): ValueRule {
  const combine = ([left, right]: readonly KnownElement[]): KnownElement => {
    if (right !== undefined && right === rightIdentity) return left;
    if (left !== undefined && left === leftIdentity) return right;
    return applyToNumbers(apply, [left, right]);
  };
  return ({ node, values: [left, right] }) =>
    left === undefined ? [] : [mapKnown(node, left.type, [left, right], combine)];
}

/** The definition of Greater and its kin: two broadcast inputs, a bool output. */
export function comparisonOp(
  type: string,
  apply: (left: number, right: number) => boolean,
  /** The result for two equal symbolic dimensions. */
  ofEqual: boolean,
): OpDefinition {
  const compare = ([left, right]: readonly KnownElement[]): KnownElement => {
    if (typeof left === "string" && left === right) return Number(ofEqual);
    return applyToNumbers((a, b) => Number(apply(a, b)), [left, right]);
  };
  return {
    type,
    shape: (context) => [broadcastType(context, "bool")],
    channels: broadcasting(() => undefined),
    value: ({ node, values }) => [mapKnown(node, "bool", values, compare)],
    gradient: noGradient,
    cost: noProducts,
  };
}

/** The definition of And and Or: two broadcast bool inputs. */
export function logicalOp(type: string, apply: (left: number, right: number) => boolean): OpDefinition {
  return comparisonOp(type, apply, true);
}

/**
 * The definition of Max and Min (variadic since opset 8). Where several inputs attain the extremum they
 * share the gradient evenly: dxᵢ = dy * [xᵢ = y] / Σⱼ [xⱼ = y].
 */
export function extremumOp(type: string, apply: (...numbers: number[]) => number): OpDefinition {
  return {
    type,
    shape: (context) => [broadcastType(context)],
    value: numericValue(apply),
    channels: broadcasting(allOperands(apply)),
    cost: noProducts,
    gradient: ({ builder: b, node, outputGradients: [dy], needs }) => {
      const [y] = node.outputs;
      if (dy === undefined || y === undefined) return [];
      const attains = node.inputs.map((x) => cast(b, b.emit("Equal", [x, y]), "float32"));
      const share = attains.length === 1 ? dy : div(b, dy, b.emit("Sum", attains));
      return attains.map((mask, index) => (needs[index] === true ? b.emit("Mul", [share, mask]) : undefined));
    },
  };
}
