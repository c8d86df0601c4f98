import { intAttribute, intsAttribute } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import { numericData } from "../../graph/tensor.js";
import type { Dim, Node, Shape, ValueType } from "../../graph/types.js";
import type { NodeContext } from "./context.js";
import type { GradientContext } from "./definition.js";
import { isInteger } from "./element_types.js";

/** Parameters that old operator sets keep in an attribute and newer ones in a constant input. */
export type IntsArgument =
  | { readonly kind: "absent" }
  | { readonly kind: "known"; readonly values: readonly Dim[] }
  /** An input that is computed while the model runs; its length may be known. */
  | { readonly kind: "unknown"; readonly length: number | undefined };

/**
 * The integers in input number `index`, or else in the attribute of the given name.
 * @throws PenniError "shape" if the input is known to hold other numbers
 */
export function intsArgument(
  { node, inputs, values }: NodeContext,
  index: number,
  attribute: string,
): IntsArgument {
  const name = node.inputs[index];
  if (name === undefined || name === "") {
    const fromAttribute = intsAttribute(node, attribute);
    return fromAttribute === undefined ? { kind: "absent" } : { kind: "known", values: fromAttribute };
  }
  const value = values[index];
  if (value !== undefined && !isInteger(value.type)) {
    throw shapeError(node, `input ${index} must hold integers`, "int64 or int32", value.type);
  }
  if (value !== undefined) return { kind: "known", values: value.elements };
  const length = inputs[index]?.shape?.[0];
  return { kind: "unknown", length: typeof length === "number" ? length : undefined };
}

/** The elements as far as they are known, one entry per element; undefined if not even their number is. */
export function partlyKnown(argument: IntsArgument): readonly Dim[] | undefined {
  if (argument.kind === "known") return argument.values;
  if (argument.kind === "absent" || argument.length === undefined || argument.length > 64) return undefined;
  return Array.from({ length: argument.length }, () => undefined);
}

/** All elements as numbers; undefined where they are absent or not all known. */
export function fullyKnown(argument: IntsArgument): readonly number[] | undefined {
  if (argument.kind !== "known") return undefined;
  const { values } = argument;
  return values.every((value): value is number => typeof value === "number") ? values : undefined;
}

/**
 * A negative axis counted from the end, as ONNX allows.
 * @throws PenniError "shape" if the axis lies outside the rank.
 */
export function normalizeAxis(node: Node, axis: number, rank: number): number {
  const normalized = axis < 0 ? axis + rank : axis;
  if (normalized >= 0 && normalized < rank) return normalized;
  throw shapeError(node, "an axis lies outside the rank", `an axis in [${-rank}, ${rank - 1}]`, `${axis}`);
}

/** `normalizeAxis` of several distinct axes. */
export function normalizeAxes(node: Node, axes: readonly number[], rank: number): number[] {
  const normalized = axes.map((axis) => normalizeAxis(node, axis, rank));
  if (new Set(normalized).size === normalized.length) return normalized;
  throw shapeError(node, "an axis is named twice", "distinct axes", `[${axes.join(", ")}]`);
}

/**
 * Input number `index`, which the operator requires.
 * @throws PenniError "shape" if it is missing.
 */
export function requiredInput({ node, inputs }: NodeContext, index: number): ValueType {
  const type = inputs[index];
  if (type !== undefined) return type;
  throw shapeError(node, `the type of input ${index} is unknown or the input is missing`);
}

/** Whether an attribute that is a flag is set: by every number but 0, as ONNX Runtime reads them. */
export function isSet(node: Node, name: string): boolean {
  const value = intAttribute(node, name);
  return value !== undefined && value !== 0;
}

/** Optional input number `index`. */
export function optionalInput(node: Node, index: number): string | undefined {
  const name = node.inputs[index];
  return name === undefined || name === "" ? undefined : name;
}

/** The context of a node that has only some of this one's inputs, by number: for rules of a related operator. */
export function withSomeInputs(context: NodeContext, numbers: readonly number[]): NodeContext {
  const pick = <Entry>(list: readonly Entry[]): readonly Entry[] =>
    numbers.flatMap((index) => list.slice(index, index + 1));
  const node = { ...context.node, inputs: pick(context.node.inputs) };
  return { ...context, node, inputs: pick(context.inputs), values: pick(context.values) };
}

/**
 * Checks that the first `count` inputs, which the operator requires, are there.
 * @throws PenniError "shape" if one is missing.
 */
export function checkRequiredInputs(context: NodeContext, count: number): void {
  for (let index = 0; index < count; index++) requiredInput(context, index);
}

/**
 * Checks the rank of an input, as far as it is known.
 * @param most highest rank; `least` if not given
 * @throws PenniError "shape" if it has another
 */
export function checkRank({ node, inputs }: NodeContext, index: number, least: number, most = least): void {
  const shape = inputs[index]?.shape;
  if (shape === undefined || (shape.length >= least && shape.length <= most)) return;
  const expected = most === least ? `rank ${least}` : `rank ${least} or more`;
  throw shapeError(node, `input ${index} has the wrong rank`, expected, describeShape(shape));
}

/**
 * The integers of a list attribute that has one for each axis (or end of an axis), `standard` for each where it is absent.
 * @throws PenniError "shape" if it has another number of them
 */
export function listAttribute(node: Node, name: string, length: number, standard: number): readonly number[] {
  const found = intsAttribute(node, name) ?? Array.from({ length }, () => standard);
  if (found.length === length) return found;
  throw shapeError(
    node,
    `attribute "${name}" does not fit the input`,
    `${length} numbers`,
    `[${found.join(", ")}]`,
  );
}

/**
 * Checks that inputs from number `first` on, as far as they are there and known, hold one number per channel: [C].
 * @throws PenniError "shape" if one does not.
 */
export function checkPerChannel({ node, inputs }: NodeContext, first: number, channels: Dim): void {
  inputs.slice(first).forEach((type, index) => {
    if (type?.shape === undefined || node.inputs[first + index] === "") return;
    const [size] = type.shape;
    const fits = typeof size !== "number" || typeof channels !== "number" || size === channels;
    if (type.shape.length === 1 && fits) return;
    throw shapeError(
      node,
      `input ${first + index} does not hold one number per channel`,
      describeShape([channels]),
      describeShape(type.shape),
    );
  });
}

/** Far more elements than the constants in the gradient of any real layer have. */
const LARGEST_CONSTANT = 2 ** 24;

/**
 * Checks the number of elements of a constant that is about to be made from parameters of a model.
 * @throws PenniError "unsupported" if it would not fit into memory.
 */
export function checkConstantSize(node: Node, elements: number): void {
  if (elements <= LARGEST_CONSTANT) return;
  throw new PenniError("unsupported", "the gradient would need too large a constant", {
    node: node.name,
    op: node.op,
    expected: `constants of at most ${LARGEST_CONSTANT} elements`,
    found: `${elements}`,
  });
}

/** A shape of known rank with unknown dimensions. */
export function unknownDims(rank: number): Shape {
  return Array.from({ length: rank }, () => undefined);
}

/** What the shape rule saw of a node, for gradient rules that need the same parameters. */
export function forwardContext(context: GradientContext): NodeContext {
  const { node, opset } = context;
  return {
    node,
    opset,
    inputs: node.inputs.map((name) =>
      name === "" ? undefined : { elementType: "float32", shape: context.dims(name) },
    ),
    values: node.inputs.map((name) => {
      const tensor = name === "" ? undefined : context.constant(name);
      if (tensor === undefined || tensor.type === "string" || tensor.type === "other") return undefined;
      // Parameters are vectors; the data beside them may be a large constant that no rule reads this way.
      if (tensor.dims.length > 1) return undefined;
      return { type: tensor.type, dims: tensor.dims, elements: numericData(tensor) };
    }),
  };
}

/** The error of a gradient rule whose parameters are computed while the model runs. */
export function needsConstant(node: Node, what: string): PenniError {
  return new PenniError("unsupported", `the gradient needs ${what} to be constant`, {
    node: node.name,
    op: node.op,
    advice: "Simplify the graph with fixed input shapes first",
  });
}
