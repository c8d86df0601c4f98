import { at } from "../graph/at.js";
import { elementCount } from "../graph/tensor.js";
import { add, div, mul, neg, reduceSum, sub } from "../ops/core/emit.js";
import type { TypedBuilder } from "../ops/inference/builder.js";

/** How one parameter is updated. */
export interface UpdateRule {
  /**
   * Pull towards zero with the strength given at each step: by the L1 norm, by proximal steps or by its subgradient;
   * or by the norms of whole channels ("channels": proximal steps too).
   */
  readonly l1: "none" | "proximal" | "subgradient" | "channels";
  /** Multiply by a 0/1 mask after the update, so that pruned elements stay zero. */
  readonly masked: boolean;
  /** Multiplies the learning rate, above 0. */
  readonly rate: number;
}

/** Names of the scalar inputs of a training step. */
export interface OptimizerInputs {
  readonly learningRate: string;
  readonly l1Strength: string;
}

export interface SgdOptions {
  readonly momentum: number;
  /** L2 penalty added to the gradient, as in PyTorch's SGD. */
  readonly weightDecay: number;
}

export interface ParameterUpdate {
  readonly parameter: string;
  readonly velocity: string;
}

/**
 * Stochastic gradient descent with Nesterov momentum (Sutskever et al. 2013, in PyTorch's form):
 * g ← g + decay · p,  v ← μ v + g,  p ← p − η (g + μ v);
 * then the proximal step of η/(1−μ) · λ‖p‖₁, p ← p − clip(p, −t, t), or that of whole channels, which leaves exact
 * zeros. The factor 1/(1−μ) makes the fixed point that of loss + λ‖p‖₁, because momentum multiplies the gradient by
 * it too.
 */
export function emitUpdate(
  b: TypedBuilder,
  names: { parameter: string; velocity: string; gradient: string; mask: string | undefined },
  rule: UpdateRule,
  inputs: OptimizerInputs,
  options: SgdOptions,
): ParameterUpdate {
  const { parameter, gradient } = names;
  const momentum = b.scalar(options.momentum);
  const decayed =
    options.weightDecay === 0 ? gradient : add(b, gradient, mul(b, parameter, b.scalar(options.weightDecay)));
  const penalized =
    rule.l1 === "subgradient"
      ? add(b, decayed, mul(b, b.emit("Sign", [parameter]), inputs.l1Strength))
      : decayed;
  const velocity = add(b, mul(b, names.velocity, momentum), penalized);
  const direction = add(b, penalized, mul(b, velocity, momentum));
  const rate = rule.rate === 1 ? inputs.learningRate : mul(b, inputs.learningRate, b.scalar(rule.rate));
  const stepped = sub(b, parameter, mul(b, direction, rate));
  const threshold = thresholds[rule.l1];
  const sparse =
    threshold === undefined
      ? stepped
      : threshold(b, stepped, mul(b, mul(b, rate, inputs.l1Strength), b.scalar(1 / (1 - options.momentum))));
  return { parameter: names.mask === undefined ? sparse : mul(b, sparse, names.mask), velocity };
}

/** x after a proximal step of t times the penalty. */
type Threshold = (b: TypedBuilder, x: string, t: string) => string;

const thresholds: Readonly<Record<UpdateRule["l1"], Threshold | undefined>> = {
  none: undefined,
  proximal: softThreshold,
  subgradient: undefined,
  channels: channelThreshold,
};

function softThreshold(b: TypedBuilder, x: string, t: string): string {
  return sub(b, x, b.emit("Clip", [x, neg(b, t), t]));
}

/** In place of a norm that is zero. */
const LEAST_NORM = 1e-30;

/**
 * Group lasso (Yuan and Lin 2006) over input channels, the second axis: the proximal step of Σ_c √n ‖x[:, c]‖₂, with n
 * elements to a channel, is x[:, c] · max(0, 1 - t √n / ‖x[:, c]‖₂).
 */
function channelThreshold(b: TypedBuilder, x: string, t: string): string {
  const dims = b.dims(x);
  const others = dims.map((_, axis) => axis).filter((axis) => axis !== 1);
  const elements = elementCount(others.map((axis) => at(dims, axis)));
  const norm = b.emit("Sqrt", [reduceSum(b, mul(b, x, x), others, true)]);
  const lost = div(b, mul(b, t, b.scalar(Math.sqrt(elements))), b.emit("Max", [norm, b.scalar(LEAST_NORM)]));
  return mul(b, x, b.emit("Max", [sub(b, b.scalar(1), lost), b.scalar(0)]));
}
