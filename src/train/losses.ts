import { int } from "../graph/attributes.js";
import { float32Tensor } from "../graph/tensor.js";
import type { TypedBuilder } from "../ops/builder.js";
import { add, mul, neg, reduceMean, reduceSum, sub } from "../ops/emit.js";

/** What a training step minimises; weights add up as given, they need not sum to one. */
export interface LossOptions {
  /** Weight of the cross-entropy with the labels; 0 leaves it out. */
  readonly crossEntropy: number;
  /** Share of the target spread evenly over all classes, 0 to below 1. */
  readonly labelSmoothing: number;
  /** Weight of the distance to the original network's logits; 0 leaves it out. */
  readonly distillation: number;
  /** Softening of both distributions in the distillation, above 0 (Hinton et al. 2015). */
  readonly temperature: number;
}

/** Mean over the batch of −Σ_k t_k log softmax(z)_k with smoothed one-hot targets t. logits: [N, K], labels: int64 [N]. */
function crossEntropy(b: TypedBuilder, logits: string, labels: string, smoothing: number): string {
  const classes = b.dims(logits)[1] ?? 1;
  const off = smoothing / classes;
  const onOff = b.constant("smoothed_targets", float32Tensor([2], [off, 1 - smoothing + off]));
  const targets = b.emit("OneHot", [labels, b.axes([classes]), onOff], { attributes: { axis: int(-1) } });
  return neg(b, meanOverBatch(b, mul(b, targets, logSoftmax(b, logits))));
}

/** T² · mean over the batch of KL(softmax(teacher / T) ‖ softmax(z / T)). Both: [N, K]. */
function distillation(b: TypedBuilder, logits: string, teacher: string, temperature: number): string {
  const soften = (name: string): string => logSoftmax(b, mul(b, name, b.scalar(1 / temperature)));
  const teacherLog = soften(teacher);
  const divergence = mul(b, b.emit("Exp", [teacherLog]), sub(b, teacherLog, soften(logits)));
  return mul(b, meanOverBatch(b, divergence), b.scalar(temperature * temperature));
}

function logSoftmax(b: TypedBuilder, x: string): string {
  return b.emit("LogSoftmax", [x], { attributes: { axis: int(1) } });
}

/** Sum over classes, mean over the batch, as a scalar: [N, K] -> []. */
function meanOverBatch(b: TypedBuilder, x: string): string {
  return reduceMean(b, reduceSum(b, x, [1], false), [0], false);
}

/** Emits the weighted loss as a scalar and returns its name. `teacher` is needed iff distillation is on. */
export function emitLoss(
  b: TypedBuilder,
  logits: string,
  labels: string,
  teacher: string | undefined,
  options: LossOptions,
): string {
  const terms: string[] = [];
  if (options.crossEntropy > 0) {
    terms.push(
      mul(b, crossEntropy(b, logits, labels, options.labelSmoothing), b.scalar(options.crossEntropy)),
    );
  }
  if (options.distillation > 0 && teacher !== undefined) {
    terms.push(mul(b, distillation(b, logits, teacher, options.temperature), b.scalar(options.distillation)));
  }
  const [first, ...rest] = terms;
  return rest.reduce((sum, term) => add(b, sum, term), first ?? b.scalar(0));
}
