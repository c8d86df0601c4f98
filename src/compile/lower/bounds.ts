import { at } from "../../graph/at.js";
import type { NodeContext } from "../../ops/core/context.js";
import { clipBound } from "../../ops/operators/clip.js";
import { bounded } from "../kernels/epilogue.js";
import type { Bounds, Lowering } from "./definition.js";
import { boundsLowering } from "./elementwise.js";

/** An operator that does nothing but keep its input between limits. */
function boundsOnly(bounds: (context: NodeContext) => Bounds | undefined): Lowering {
  return {
    lower: boundsLowering(bounds),
    takesEpilogue: true,
    element: (context) => {
      const limits = bounds(context);
      return limits && { operands: 1, compute: (_, operands) => bounded(at(operands, 0), limits) };
    },
  };
}

export const reluLowering = boundsOnly(() => ({ low: 0, high: undefined }));

export const clipLowering = boundsOnly((context) => {
  const low = clipBound(context, 1, "min", Number.NEGATIVE_INFINITY);
  const high = clipBound(context, 2, "max", Number.POSITIVE_INFINITY);
  if (low === undefined || high === undefined) return undefined;
  return {
    low: isNone(low, Number.NEGATIVE_INFINITY) ? undefined : low,
    high: isNone(high, Number.POSITIVE_INFINITY) ? undefined : high,
  };
});

/** The other infinity bounds everything; what a bound of NaN does is nowhere said. */
const isNone = (bound: number, none: number): boolean => bound === none || Number.isNaN(bound);
