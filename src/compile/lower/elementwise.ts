import { at } from "../../graph/at.js";
import { elementCount } from "../../graph/tensor.js";
import { broadcastStrides } from "../../ops/core/broadcast.js";
import { stridesOf } from "../../ops/core/dims.js";
import { isInteger } from "../../ops/core/element_types.js";
import { bounded } from "../kernels/epilogue.js";
import { larger, once, type Place, smaller } from "../kernels/functions.js";
import { type StridedMap, stridedKernel } from "../kernels/strided.js";
import type { Value } from "../loops.js";
import type { Bounds, ElementContext, ElementOperation, Lower, LoweringContext } from "./definition.js";
import { mapViews, type StridedView, viewOf } from "./movement.js";

/** A function of each element of the operation's inputs, broadcast to its output, and what follows it. */
export function lowerElementwise(
  context: LoweringContext,
  inputs: number,
  compute: StridedMap["compute"],
): void {
  const sources = Array.from({ length: inputs }, (_, index) => operand(context, index));
  combine(context, context.node.op.toLowerCase(), sources, compute);
}

/** An input as it is broadcast to the output. */
function operand(context: LoweringContext, index: number): StridedView {
  const strides = broadcastStrides(context.inputDims(index), context.outputDims());
  return { location: context.read(index), strides };
}

/** The output from operands of its dimensions, with what follows the operation. */
export function combine(
  context: LoweringContext,
  name: string,
  sources: readonly StridedView[],
  compute: StridedMap["compute"],
): void {
  const { epilogue } = context;
  const dims = context.outputDims();
  const strides = stridesOf(dims);
  const inputs = [...sources, ...context.sides.map((location) => ({ location, strides }))];
  const kernel = stridedKernel(
    {
      name: `${name}${epilogue.name}`,
      comment: `${context.node.op} over ${dims.join(" x ")}.`,
      dims,
      inputs,
      output: { strides },
      compute: (values, k, lanes) => {
        const result = compute(values.slice(0, sources.length), k, lanes);
        return epilogue.apply({ k, lanes }, result, values.slice(sources.length));
      },
    },
    context.width,
  );
  context.call(kernel, [...inputs.map(({ location }) => location), context.write()]);
}

/** An element of the output from those of the inputs. */
export type ElementFunction<Operands extends readonly Value[]> = (
  place: Place,
  operands: Operands,
  context: ElementContext,
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

/** What functions of one and of two elements, and of any number of them two by two, compute of each. */
export const elementOperations = {
  unary: (compute: UnaryFunction) => {
    return (context: ElementContext): ElementOperation => ({
      operands: 1,
      compute: (place, operands) => compute(place, [once(place, at(operands, 0), "x")], context),
    });
  },
  binary: (compute: BinaryFunction) => {
    return (context: ElementContext): ElementOperation => ({
      operands: 2,
      compute: (place, operands) => {
        const [left, right] = [at(operands, 0), at(operands, 1)];
        return compute(place, [once(place, left, "a"), once(place, right, "b")], context);
      },
    });
  },
  folding: (compute: BinaryFunction) => {
    return (context: ElementContext): ElementOperation => ({
      operands: context.node.inputs.length,
      compute: (place, operands) =>
        operands
          .map((operand) => once(place, operand, "x"))
          .reduce((left, right) => once(place, compute(place, [left, right], context))),
    });
  },
} as const;

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
    combine(context, name, open.reverse(), fold);
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
  combine(context, context.node.op.toLowerCase(), sources, (operands) =>
    limits.reduce((value, { limited }, limit) => limited(value, at(operands, limit + 1)), at(operands, 0)),
  );
}

/** Whether an input holds integers, which are kept as float32: exact up to 2^24. */
export function holdsIntegers({ inputs }: ElementContext, index = 0): boolean {
  const type = inputs[index]?.elementType;
  return type !== undefined && isInteger(type);
}
