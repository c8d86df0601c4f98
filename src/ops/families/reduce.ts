import { at } from "../../graph/at.js";
import { intAttribute, intAttributeOr } from "../../graph/attributes.js";
import { shapeError } from "../../graph/shape_error.js";
import { elementCount } from "../../graph/tensor.js";
import type { Node, ValueType } from "../../graph/types.js";
import { reductionChannels } from "../channels/pooling.js";
import {
  forwardContext,
  fullyKnown,
  intsArgument,
  needsConstant,
  normalizeAxes,
  requiredInput,
  unknownDims,
} from "../core/arguments.js";
import type { ChannelRule } from "../core/channels.js";
import type { KnownValue, NodeContext } from "../core/context.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { isStatic, stridesOf } from "../core/dims.js";
import { cast } from "../core/element_types.js";
import { div, mul, reduceSum, reshape } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import type { KnownElement } from "../core/known_values.js";
import { stridedValue } from "../core/rearrange.js";

/** What the gradient of a reduction is written in; y and dy have the reduced axes with size 1. */
export interface ReductionParts {
  readonly b: Emitter;
  readonly x: string;
  readonly y: string;
  readonly dy: string;
  readonly axes: readonly number[];
  /** How many elements of x each element of y is made of. */
  readonly count: number;
  readonly dims: readonly number[];
}

export interface ReductionOptions {
  /** dx, of x's shape. */
  readonly gradient: (parts: ReductionParts) => string;
  /** Default: lanes that are not reduced stay, and nothing is known of their constants. */
  readonly channels?: ChannelRule;
  /** The reduction itself, where it occurs in shape arithmetic. */
  readonly apply?: (elements: readonly KnownElement[]) => KnownElement;
  readonly facts?: Pick<OpDefinition, "elements" | "onBlocks" | "roundsIntegers">;
}

/**
 * The definition of a reduction (ONNX Reduce*): the axes are an attribute up to opset 17 (ReduceSum: 12) and
 * an optional input later; none mean all, or nothing with `noop_with_empty_axes`.
 */
export function reduceOp(
  type: string,
  { gradient, channels = reductionChannels(), apply, facts }: ReductionOptions,
): OpDefinition {
  return {
    type,
    shape: reducedType,
    channels,
    cost: noProducts,
    gradient: (context) => reduceGradient(context, gradient),
    ...(apply === undefined ? {} : { value: (context: NodeContext) => [reducedValue(context, apply)] }),
    ...facts,
  };
}

function reducedValue(
  context: NodeContext,
  apply: (elements: readonly KnownElement[]) => KnownElement,
): KnownValue | undefined {
  const [x] = context.values;
  const shape = reducedType(context)[0]?.shape;
  const axes = x === undefined ? undefined : reducedAxes(context, x.dims.length);
  if (x === undefined || axes === undefined || !isStatic(shape)) return undefined;
  const strides = stridesOf(x.dims);
  const pick = (chosen: readonly number[]): KnownValue =>
    stridedValue(
      { ...x, elements: x.elements.map((_, position) => position) },
      chosen.map((axis) => at(x.dims, axis)),
      chosen.map((axis) => at(strides, axis)),
    );
  const others = x.dims.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const within = pick(axes).elements.map(Number);
  const elements = pick(others).elements.map((start) =>
    apply(within.map((offset) => x.elements[Number(start) + offset])),
  );
  return { type: x.type, dims: shape, elements };
}

/** A function of numbers alone: unknown and symbolic elements make the result unknown. */
export function ofNumbers(
  apply: (numbers: readonly number[]) => number,
): (elements: readonly KnownElement[]) => KnownElement {
  return (elements) => {
    const numbers = elements.filter((element) => typeof element === "number");
    return numbers.length === elements.length && numbers.length > 0 ? apply(numbers) : undefined;
  };
}

function keepsDims(node: Node): boolean {
  return intAttributeOr(node, "keepdims", 1) !== 0;
}

/** first, first + 1, ..., rank - 1. */
export function axesFrom(first: number, rank: number): readonly number[] {
  return Array.from({ length: Math.max(rank - first, 0) }, (_, index) => first + index);
}

/** The axes that a Reduce* node reduces, counted from the front; undefined where they are computed while the model runs. */
export function reducedAxes(context: NodeContext, rank: number): readonly number[] | undefined {
  const { node } = context;
  const argument = intsArgument(context, 1, "axes");
  const given = argument.kind === "absent" ? [] : fullyKnown(argument);
  if (given === undefined || given.length > 0) return given && normalizeAxes(node, given, rank);
  return intAttribute(node, "noop_with_empty_axes") === 1 ? [] : axesFrom(0, rank);
}

function reducedType(context: NodeContext): readonly ValueType[] {
  const { node } = context;
  const { elementType, shape } = requiredInput(context, 0);
  if (shape === undefined) return [{ elementType, shape }];
  const axes = reducedAxes(context, shape.length);
  if (axes === undefined) {
    return [{ elementType, shape: keepsDims(node) ? unknownDims(shape.length) : undefined }];
  }
  if (keepsDims(node)) {
    return [{ elementType, shape: shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) }];
  }
  return [{ elementType, shape: shape.filter((_, axis) => !axes.includes(axis)) }];
}

function reduceGradient(
  context: GradientContext,
  gradient: (parts: ReductionParts) => string,
): readonly (string | undefined)[] {
  const { builder: b, node, outputGradients, needs } = context;
  const [x] = node.inputs;
  const [y] = node.outputs;
  const [dy] = outputGradients;
  if (dy === undefined || x === undefined || y === undefined || needs[0] !== true) return [];
  const dims = context.dims(x);
  const axes = reducedAxes(forwardContext(context), dims.length);
  if (axes === undefined) throw needsConstant(node, "the axes");
  if (axes.length === 0)
    throw shapeError(node, "the gradient of a reduction needs an axis", "1 or more", "0");
  const kept = dims.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  const aligned = (name: string): string => (keepsDims(node) ? name : reshape(b, name, kept));
  const count = elementCount(dims) / Math.max(elementCount(kept), 1);
  return [gradient({ b, x, y: aligned(y), dy: aligned(dy), axes, count, dims })];
}

/** Repeats a value along its unit axes: the adjoint of a sum. */
export function expand(b: Emitter, x: string, dims: readonly number[]): string {
  return b.emit("Expand", [x, b.axes(dims)]);
}

/** dx = dy / count for every element of x: the gradient of a mean. */
export function spreadMean(b: Emitter, dy: string, count: number, dims: readonly number[]): string {
  return expand(b, mul(b, dy, b.scalar(1 / count)), dims);
}

/**
 * The gradient of a maximum or minimum over axes; elements that attain it share it evenly (as PyTorch's amax):
 * dx = dy·[x = y] / Σ [x = y].
 */
export function extremumGradient({ b, x, y, dy, axes }: Omit<ReductionParts, "count" | "dims">): string {
  const attains = cast(b, b.emit("Equal", [x, y]), "float32");
  return mul(b, attains, div(b, dy, reduceSum(b, attains, axes, true)));
}
