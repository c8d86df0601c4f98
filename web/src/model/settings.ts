import { countOf } from "../../../src/graph/at.js";
import type { DenseLayer } from "../../../src/layers/weights.js";

/** What the sliders say of one layer, in place of what they say of all. */
export interface LayerSettings {
  readonly basis?: number | undefined;
  readonly sparsity?: number | undefined;
}

/** What the sliders say. */
export interface Settings {
  /** Basis kernels of each layer; at `mostBasis` kernels stay as they are. */
  readonly basis: number;
  /** Share of all coefficients (and weights that share no basis) that become zero, 0 to `MOST_SPARSITY`. */
  readonly sparsity: number;
  /** By layer name. */
  readonly layers: Readonly<Record<string, LayerSettings>>;
}

export const MOST_SPARSITY = 0.95;

/** A slider over more kernels than that is no slider. */
const MOST_BASIS = 25;
const FEWEST_TAPS = 4;
/** The paper's share of basis kernels (5 of 9), and little enough sparsity to be true without training. */
const BASIS_SHARE = 5 / 9;
const SPARSITY = 0.3;

/** The upper end of the slider for basis kernels: the taps that most kernels have. */
export function mostBasis(layers: readonly Pick<DenseLayer, "K" | "C" | "R" | "S">[]): number {
  const kernels = new Map<number, number>();
  for (const { K, C, R, S } of layers)
    if (R * S >= FEWEST_TAPS) kernels.set(R * S, countOf(kernels, R * S) + K * C);
  const [commonest] = [...kernels].sort(([, a], [, b]) => b - a);
  // Where there are no kernels, there is nothing to choose.
  return commonest === undefined ? 1 : Math.min(MOST_BASIS, commonest[0]);
}

export function startSettings(most: number): Settings {
  return { basis: Math.max(1, Math.round(BASIS_SHARE * most)), sparsity: SPARSITY, layers: {} };
}

/** The settings with one layer's own; a layer that has none follows the others again. */
export function withLayer(settings: Settings, name: string, own: LayerSettings): Settings {
  const { [name]: before, ...others } = settings.layers;
  const merged: LayerSettings = { ...before, ...own };
  const isOwn = merged.basis !== undefined || merged.sparsity !== undefined;
  return { ...settings, layers: isOwn ? { ...others, [name]: merged } : others };
}
