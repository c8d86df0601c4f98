import type { Effect, LayerSensitivity, Sensitivity } from "../method/sensitivity.js";
import { type EffectView, effectViews } from "./sensitivity_views.js";

/** The furthest that a layer can be changed alone without losing more than is tolerated. */
export interface Recommendation {
  /** Undefined where no basis smaller than the kernel will do. */
  readonly basis: number | undefined;
  /** Share of coefficients or weights to remove, 0 to below 1; undefined where none of those tried will do. */
  readonly sparsity: number | undefined;
  readonly kind: "both" | "basis" | "sparsity" | "leave";
}

/** What is tolerated of one layer, and how that is said. */
export interface Tolerance {
  readonly text: string;
  readonly holds: (effect: Effect) => boolean;
}

/** A point of top-1, but never less than an image. */
const POINTS = 1;
/** Of outputs without labels: their error, as `OutputAgreement` has it. */
const ERROR = 0.1;

/** By the first of the views, which says most. */
export function toleranceOf(sensitivity: Sensitivity): Tolerance {
  const [view] = effectViews(sensitivity);
  const isAccuracy = sensitivity.measure === "accuracy" && sensitivity.original.top1 !== undefined;
  const most = isAccuracy ? Math.max(POINTS, 100 / sensitivity.images) / 100 : ERROR;
  const lossOf = (effect: Effect): number => (view === undefined ? Number.NaN : lossIn(view, effect));
  return {
    text: isAccuracy
      ? `at most ${Number((100 * most).toFixed(2))} points of top-1`
      : `an output error of at most ${100 * ERROR} % of its deviation from image to image`,
    // Of a value that is not finite, false.
    holds: (effect) => lossOf(effect) <= most + 1e-9,
  };
}

function lossIn(view: EffectView, effect: Effect): number {
  const value = view.value(effect);
  return Number.isNaN(value) ? value : view.loss(value);
}

/** What to do with a layer. */
export function recommend({ ranks, sparsities }: LayerSensitivity, { holds }: Tolerance): Recommendation {
  // The last rank is the layer as it was.
  const basis = ranks.slice(0, -1).find(holds)?.d;
  const sparsity = sparsities.findLast(holds)?.sparsity;
  const kind =
    basis === undefined
      ? sparsity === undefined
        ? "leave"
        : "sparsity"
      : sparsity === undefined
        ? "basis"
        : "both";
  return { basis, sparsity, kind };
}
