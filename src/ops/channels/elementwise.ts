import { inputOf, present } from "../../graph/at.js";
import { alongAxis, selectAxis } from "../../graph/select.js";
import { float32Data, float32Tensor } from "../../graph/tensor.js";
import type { Dim, Node, Shape, Tensor } from "../../graph/types.js";
import {
  type ChannelContext,
  type ChannelFlow,
  type ChannelRule,
  identityPairs,
  type LaneConstants,
  type LaneEditor,
  type LaneRef,
  laneConstant,
  unknownConstants,
  type Wall,
  wall,
  withInputs,
} from "../core/channels.js";

/** The result for one lane from the operands' constants (undefined: not constant). */
export type LaneCombiner = (operands: readonly (number | undefined)[]) => number | undefined;

/** How one operand of a broadcasting operator takes part. */
type Operand =
  /** An initializer with one entry per lane along `axis`. */
  | { readonly kind: "parameter"; readonly axis: number; readonly tensor: Tensor }
  /** A value whose lanes meet the output's lanes one by one. */
  | { readonly kind: "lanes" }
  /** A value with a single lane that meets every lane of the output. */
  | { readonly kind: "single" }
  /** A value with lanes, every one of which has the same constant everywhere: becomes a parameter. */
  | { readonly kind: "constant"; readonly values: readonly number[] }
  /** Does not vary along the output's lanes and is left alone. */
  | { readonly kind: "uniform" };

export interface BroadcastingOptions {
  /** An input that the others broadcast to, but which broadcasts to none: it stays whatever it holds. */
  readonly shapedBy?: number;
}

/**
 * Rule of element-wise operators with broadcasting (Add, Mul, PRelu, ...): lanes meet along the output's
 * axis 1. An operand that is constant in every lane, beside another one that has the full output shape,
 * becomes an initializer [1, C, 1, ...], which frees the branch that computed it.
 */
export function broadcasting(combine: LaneCombiner, { shapedBy }: BroadcastingOptions = {}): ChannelRule {
  return (context) => {
    const [channels] = context.outputLanes;
    const shape = context.outputs[0]?.shape;
    if (channels === undefined || shape === undefined) return wall("the number of channels is not known");
    const operands: Operand[] = [];
    for (const index of context.node.inputs.keys()) {
      const operand = classify(context, index, shape, channels);
      if ("wall" in operand) return operand;
      operands.push(operand);
    }
    return flow(context, foldConstants(context, operands, shape, shapedBy), channels, combine);
  };
}

function classify(context: ChannelContext, index: number, output: Shape, channels: number): Operand | Wall {
  const shape = context.inputs[index]?.shape;
  if (shape === undefined) return wall("the shape of an operand is not known");
  const axis = 1 - (output.length - shape.length);
  const met: Dim = axis < 0 ? 1 : shape[axis];
  const tensor = context.initializer(index);
  if (tensor !== undefined)
    return met === channels && axis >= 0 ? { kind: "parameter", axis, tensor } : { kind: "uniform" };
  if (context.lanes[index] !== undefined && axis === 1) {
    return met === channels ? { kind: "lanes" } : { kind: "single" };
  }
  return met === 1
    ? { kind: "uniform" }
    : wall("an operand meets the channels along another axis than its own channels");
}

/** Turns operands that are constant throughout into parameters, where another operand keeps the shape. */
function foldConstants(
  context: ChannelContext,
  operands: readonly Operand[],
  output: Shape,
  shapedBy: number | undefined,
): readonly Operand[] {
  const values = operands.map((operand, index) =>
    operand.kind === "lanes" && index !== shapedBy ? allKnown(context.constants[index]) : undefined,
  );
  const carrier = operands.some(
    (operand, index) =>
      operand.kind === "lanes" &&
      values[index] === undefined &&
      sameShape(context.inputs[index]?.shape, output),
  );
  if (!carrier) return operands;
  return operands.map((operand, index) => {
    const known = values[index];
    const foldable = known !== undefined && context.inputs[index]?.elementType === "float32";
    return foldable ? { kind: "constant", values: known } : operand;
  });
}

function allKnown(constants: LaneConstants | undefined): readonly number[] | undefined {
  return constants?.every((value): value is number => value !== undefined)
    ? (constants as readonly number[])
    : undefined;
}

function sameShape(a: Shape | undefined, b: Shape): boolean {
  return a?.length === b.length && a.every((dim, axis) => dim !== undefined && dim === b[axis]);
}

function flow(
  context: ChannelContext,
  operands: readonly Operand[],
  channels: number,
  combine: LaneCombiner,
): ChannelFlow {
  const constants = operands.map((operand, index) => operandConstants(context, operand, index, channels));
  const ports = (kind: Operand["kind"]): number[] =>
    operands.flatMap((operand, index) => (operand.kind === kind ? [index] : []));
  const singles: readonly LaneRef[] = ports("single").map((port) => ({ port, lane: 0 }));
  return {
    ties: ports("lanes").map((input) => ({ input, output: 0, pairs: identityPairs(channels) })),
    carried: [...ports("lanes"), ...ports("single"), ...ports("constant")],
    reads: () => singles,
    constants: [
      Array.from({ length: channels }, (_, lane) =>
        laneConstant(combine(constants.map((operand) => operand[lane]))),
      ),
    ],
    simplifies: operands.some((operand) => operand.kind === "constant"),
    rewrite: (edit) => [rewrite(context, operands, edit)],
  };
}

function operandConstants(
  context: ChannelContext,
  operand: Operand,
  index: number,
  channels: number,
): LaneConstants {
  const known = context.constants[index];
  switch (operand.kind) {
    case "constant":
      return operand.values;
    case "lanes":
      return known ?? unknownConstants(channels);
    case "single":
      return Array.from({ length: channels }, () => known?.[0]);
    case "parameter":
      return Array.from({ length: channels }, (_, lane) =>
        uniformValue(selectAxis(operand.tensor, operand.axis, [lane])),
      );
    case "uniform": {
      const value = uniformValue(context.initializer(index));
      return Array.from({ length: channels }, () => value);
    }
  }
}

/** The number that all elements of a float32 tensor equal. */
function uniformValue(tensor: Tensor | undefined): number | undefined {
  if (tensor?.type !== "float32") return undefined;
  const data = float32Data(tensor);
  const [first] = data;
  return data.every((value) => value === first) ? first : undefined;
}

function rewrite({ node, outputs }: ChannelContext, operands: readonly Operand[], edit: LaneEditor): Node {
  const kept = edit.output(0);
  const rank = present(outputs[0]?.shape).length;
  const replaced = new Map<number, string>();
  operands.forEach((operand, index) => {
    if (operand.kind === "parameter") {
      replaced.set(index, edit.select(inputOf(node, index), alongAxis(operand.axis, kept)));
    }
    if (operand.kind === "constant") {
      const dims = Array.from({ length: rank }, (_, axis) => (axis === 1 ? kept.length : 1));
      const values = kept.map((lane) => present(operand.values[lane]));
      replaced.set(index, edit.add(`${inputOf(node, index)}.constant`, float32Tensor(dims, values)));
    }
  });
  return withInputs(node, replaced);
}

/** The combiner of a function that needs all its operands. */
export function allOperands(apply: (...operands: number[]) => number): LaneCombiner {
  return (operands) => {
    const known = operands.filter((operand) => operand !== undefined);
    return known.length === operands.length ? apply(...known) : undefined;
  };
}

/** A product is zero as soon as one factor is, whatever (finite) number the other one holds. */
export const productOfLanes: LaneCombiner = (operands) =>
  operands.includes(0) ? 0 : allOperands((...factors) => factors.reduce((a, b) => a * b, 1))(operands);
