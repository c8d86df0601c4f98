import { stridesOf } from "../../ops/dims.js";

/** Strides of an array of shape `dims` when it is broadcast to `target`, aligned at the last axis. */
export function broadcastStrides(dims: readonly number[], target: readonly number[]): readonly number[] {
  const own = stridesOf(dims);
  const lead = target.length - dims.length;
  return target.map((_, axis) => (axis < lead || dims[axis - lead] === 1 ? 0 : (own[axis - lead] ?? 0)));
}
