import type { TypedBuilder } from "../ops/builder.js";
import { add, mul, sub } from "../ops/emit.js";

/** How one parameter is updated. */
export interface UpdateRule {
  /** Pull towards zero by the L1 norm with the strength given at each step. */
  readonly l1: "none" | "proximal" | "subgradient";
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
 * then the proximal step of η/(1−μ) · λ‖p‖₁, p ← p − clip(p, −t, t), which leaves exact zeros. The factor
 * 1/(1−μ) makes the fixed point that of loss + λ‖p‖₁, because momentum multiplies the gradient by it too.
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
  const sparse =
    rule.l1 === "proximal"
      ? softThreshold(b, stepped, mul(b, rate, inputs.l1Strength), options.momentum)
      : stepped;
  return { parameter: names.mask === undefined ? sparse : mul(b, sparse, names.mask), velocity };
}

function softThreshold(b: TypedBuilder, x: string, step: string, momentum: number): string {
  const threshold = mul(b, step, b.scalar(1 / (1 - momentum)));
  return sub(b, x, b.emit("Clip", [x, b.emit("Neg", [threshold]), threshold]));
}
