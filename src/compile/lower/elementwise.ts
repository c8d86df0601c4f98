import { stridesOf } from "../../ops/dims.js";
import { binary, constant } from "../kernel_builder.js";
import { bounded } from "../kernels/epilogue.js";
import { type StridedMap, stridedKernel } from "../kernels/strided.js";
import type { BinaryOp } from "../loops.js";
import type { Lowering, LoweringContext } from "./definition.js";
import { broadcastStrides } from "./strides.js";

/** A function of each element of the operation's inputs, broadcast to its output. */
export function lowerElementwise(
  context: LoweringContext,
  inputs: number,
  compute: StridedMap["compute"],
): void {
  const dims = context.outputDims();
  const kernel = stridedKernel(
    {
      name: context.node.op.toLowerCase(),
      comment: `${context.node.op} over ${dims.join(" x ")}.`,
      dims,
      inputs: Array.from({ length: inputs }, (_, index) => ({
        strides: broadcastStrides(context.inputDims(index), dims),
      })),
      output: { strides: stridesOf(dims) },
      compute,
    },
    context.width,
  );
  const sources = Array.from({ length: inputs }, (_, index) => context.read(index));
  context.call(kernel, [...sources, context.write()]);
}

export const unaryLowering = (compute: StridedMap["compute"]): Lowering => {
  return (context) => lowerElementwise(context, 1, compute);
};

export const binaryLowering = (op: BinaryOp): Lowering => {
  return (context) =>
    lowerElementwise(context, 2, ([left, right]) => {
      if (left === undefined || right === undefined) throw new Error("a binary operation without operands");
      return binary(op, left, right);
    });
};

/** Relu, Clip and the like. */
export const boundsLowering = (
  bounds: (context: LoweringContext) => {
    readonly low: number | undefined;
    readonly high: number | undefined;
  },
): Lowering => {
  return (context) => {
    const limits = bounds(context);
    lowerElementwise(context, 1, ([x]) => bounded(x ?? constant(0), limits));
  };
};
