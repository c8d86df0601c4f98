import { at } from "../../graph/at.js";
import { floatAttributeOr } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import { elementCount } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { add, div, mul, reduceSum, reshape } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";

/** What the operators that normalise share: statistics over batch and space, and how they spread back. */

/** The `epsilon` attribute, 1e-5 where it is absent. */
export function epsilonOf(node: Node): number {
  return floatAttributeOr(node, "epsilon", 1e-5);
}

/** [C] as [1, C, 1, ...] so that it broadcasts over a value of the given rank. */
export function perChannel(b: Emitter, name: string, rank: number): string {
  const [channels] = firstOf(b.dims(name), 1);
  return reshape(b, name, [1, channels, ...Array.from({ length: rank - 2 }, () => 1)]);
}

/** 1 / sqrt(variance + epsilon). */
export function inverseStandardDeviation(b: Emitter, variance: string, epsilon: number): string {
  return div(b, b.scalar(1), b.emit("Sqrt", [add(b, variance, b.scalar(epsilon))]));
}

/** Sum over batch and space: [N, C, ...] -> [C]. */
export function channelSum(b: Emitter, x: string): string {
  return reduceSum(b, x, allButChannels(b.dims(x).length), false);
}

export function allButChannels(rank: number): number[] {
  return [0, ...Array.from({ length: rank - 2 }, (_, axis) => axis + 2)];
}

/** Σ over batch and space of a · c, by channel: [N, C, ...] twice -> [C]. */
export function channelDot(b: Emitter, a: string, c: string): string {
  return channelSum(b, mul(b, a, c));
}

/** Elements of x [N, C, ...] that share a channel. */
export function elementsPerChannel(dims: readonly number[]): number {
  return elementCount(dims) / at(dims, 1);
}
