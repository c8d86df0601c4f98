import type { Graph } from "../graph/types.js";

/**
 * Coefficients go while the network trains: every `interval` steps, and at the end of each epoch, the least ones become
 * zero, to a target that falls from `from` to `to` as a cubic (Zhu and Gupta 2018). Nothing holds the zeros until the next
 * time, so that what was removed too early can come back.
 */
export interface GradualPruning {
  /** Multiply-accumulates left (paper count) before the first step and from `until` on, as fractions of `originalMacs`. */
  readonly from: number;
  readonly to: number;
  readonly originalMacs: number;
  /** Share of the stage's steps after which `to` is reached, in (0, 1]. */
  readonly until: number;
  /** Steps between two times, from 1. */
  readonly interval: number;
}

export interface PruningTarget extends Pick<GradualPruning, "originalMacs"> {
  /** Of `originalMacs`. */
  readonly fraction: number;
  /** Names of those that may lose values. */
  readonly parameters: readonly string[];
}

/** The parameters' values where a network is cut to a fraction. Depends on nothing but its arguments. */
export type Pruner = (network: Graph, target: PruningTarget) => ReadonlyMap<string, Float32Array>;

/** The fraction that is to be left when a share of the stage's steps is done, 0 to 1. */
export function fractionLeft({ from, to, until }: GradualPruning, progress: number): number {
  const open = Math.max(0, 1 - progress / until);
  return to + Math.max(0, from - to) * open ** 3;
}
