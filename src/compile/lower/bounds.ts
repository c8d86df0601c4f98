import type { NodeContext } from "../../ops/core/context.js";
import { clipBound } from "../../ops/operators/clip.js";

/** The limits that a node puts on its input; undefined if it does anything else or they are not constant. */
export interface Bounds {
  readonly low: number | undefined;
  readonly high: number | undefined;
}

export function boundsOf(context: NodeContext): Bounds | undefined {
  if (context.node.domain !== "") return undefined;
  if (context.node.op === "Relu") return { low: 0, high: undefined };
  if (context.node.op !== "Clip") return undefined;
  const low = clipBound(context, 1, "min", Number.NEGATIVE_INFINITY);
  const high = clipBound(context, 2, "max", Number.POSITIVE_INFINITY);
  if (low === undefined || high === undefined) return undefined;
  return { low: finite(low), high: finite(high) };
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}
