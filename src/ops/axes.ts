import type { Node } from "../graph/types.js";
import { shapeError } from "./definition.js";

/**
 * An axis counted from the front, in 0..rank-1.
 * @throws PenniError "shape" unless -rank <= axis < rank
 */
export function frontAxis(node: Node, axis: number, rank: number): number {
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  throw shapeError(node, "an axis is out of range", `${-rank} to ${rank - 1}`, `${axis}`);
}

/** 0, 1, ..., rank - 1 from `first` on. */
export function axesFrom(first: number, rank: number): readonly number[] {
  return Array.from({ length: Math.max(rank - first, 0) }, (_, index) => first + index);
}
