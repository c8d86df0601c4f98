import { at } from "../../graph/at.js";
import { elementCount } from "../../graph/tensor.js";
import { broadcastStrides } from "../../ops/core/broadcast.js";
import { stridesOf } from "../../ops/core/dims.js";
import { isInteger } from "../../ops/core/element_types.js";
import { bounded } from "../kernels/epilogue.js";
import { larger, once, type Place, smaller } from "../kernels/functions.js";
import { type StridedMap, stridedKernel } from "../kernels/strided.js";
import type { Value } from "../loops.js";
import type { Bounds, Lower, LoweringContext } from "./definition.js";
import { mapViews, type StridedView, viewOf } from "./movement.js";

/** A function of each element of the operation's inputs, broadcast to its output, within the operation's bounds. */
export function lowerElementwise(
  context: LoweringContext,
  inputs: number,
  compute: StridedMap["compute"],
): void {
  const sources = Array.from({ length: inputs }, (_, index) => operand(context, index));
  combine(context, sources, compute);
}

/** An input as it is broadcast to the output. */
function operand(context: LoweringContext, index: number): StridedView {
  const strides = broadcastStrides(context.inputDims(index), context.outputDims());
  return { location: context.read(index), strides };
}

/** The output from operands of its dimensions, within the operation's bounds. */
function combine(
  context: LoweringContext,
  sources: readonly StridedView[],
  compute: StridedMap["compute"],
): void {
  const dims = context.outputDims();
  const kernel = stridedKernel(
    {
      name: context.node.op.toLowerCase(),
      comment: `${context.node.op} over ${dims.join(" x ")}.`,
      dims,
      inputs: sources,
      output: { strides: stridesOf(dims) },
      compute: (values, k, lanes) => bounded(compute(values, k, lanes), context.epilogue),
    },
    context.width,
  );
  context.call(kernel, [...sources.map(({ location }) => location), context.write()]);
}

/** An element of the output from those of the inputs. */
export type ElementFunction<Operands extends readonly Value[]> = (
  place: Place,
  operands: Operands,
  context: LoweringContext,
) => Value;

export type UnaryFunction = ElementFunction<readonly [Value]>;
export type BinaryFunction = ElementFunction<readonly [Value, Value]>;

export const unaryLowering = (compute: UnaryFunction): Lower => {
  return (context) =>
    lowerElementwise(context, 1, (operands, k, lanes) => {
      const place = { k, lanes };
      return compute(place, [once(place, at(operands, 0), "x")], context);
    });
};

export const binaryLowering = (compute: BinaryFunction): Lower => {
  return (context) =>
    lowerElementwise(context, 2, (operands, k, lanes) => {
      const place = { k, lanes };
      const [left, right] = [at(operands, 0), at(operands, 1)];
      return compute(place, [once(place, left, "a"), once(place, right, "b")], context);
    });
};

/** A function of three elements. */
export const choiceLowering = (compute: ElementFunction<readonly [Value, Value, Value]>): Lower => {
  return (context) =>
    lowerElementwise(context, 3, (operands, k, lanes) =>
      compute({ k, lanes }, [at(operands, 0), at(operands, 1), at(operands, 2)], context),
    );
};

/** Operands of one kernel: engines allow functions some hundred parameters, and processors few registers. */
const MOST_FOLDED = 16;

/** A function of two elements, over any number of inputs. */
export const foldingLowering = (compute: BinaryFunction): Lower => {
  return (context) => {
    const dims = context.outputDims();
    const fold: StridedMap["compute"] = (values, k, lanes) => {
      const place = { k, lanes };
      return values
        .map((value) => once(place, value, "x"))
        .reduce((left, right) => once(place, compute(place, [left, right], context)));
    };
    const name = context.node.op.toLowerCase();
    const open = context.node.inputs.map((_, index) => operand(context, index)).reverse();
    while (open.length > MOST_FOLDED) {
      const part = viewOf(context.scratch(elementCount(dims)), dims);
      const next = open.splice(-MOST_FOLDED).reverse();
      mapViews(context, { name, dims, compute: fold }, next, part);
      open.push(part);
    }
    combine(context, open.reverse(), fold);
  };
};

/** Relu, Clip and the like: the bounds that are known, else those that the second and the third input hold. */
export const boundsLowering = (bounds: (context: LoweringContext) => Bounds | undefined): Lower => {
  return (context) => {
    const limits = bounds(context);
    if (limits === undefined) lowerComputedBounds(context);
    else lowerElementwise(context, 1, (operands) => bounded(at(operands, 0), limits));
  };
};

function lowerComputedBounds(context: LoweringContext): void {
  const limits = [
    { index: 1, limited: larger },
    { index: 2, limited: smaller },
  ].filter(({ index }) => context.hasInput(index));
  const sources = [0, ...limits.map(({ index }) => index)].map((index) => operand(context, index));
  combine(context, sources, (operands) =>
    limits.reduce((value, { limited }, limit) => limited(value, at(operands, limit + 1)), at(operands, 0)),
  );
}

/** Whether an input holds integers, which are kept as float32: exact up to 2^24. */
export function holdsIntegers({ inputs }: LoweringContext, index = 0): boolean {
  const type = inputs[index]?.elementType;
  return type !== undefined && isInteger(type);
}
