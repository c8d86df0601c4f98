import { at } from "../graph/at.js";
import { int } from "../graph/attributes.js";
import { elementCount, float32Tensor, scalarTensor } from "../graph/tensor.js";
import type { Graph, Tensor } from "../graph/types.js";
import type { MeasuredPart } from "../measure/output_deviation.js";
import { partOfEach } from "../measure/output_parts.js";
import { add, mul, neg, reduceMean, reduceSum, sub } from "../ops/core/emit.js";
import type { TypedBuilder } from "../ops/inference/builder.js";
import { type Attended, emitAttentionDistance } from "./attention.js";
import { type ClassAxis, classifierLoss, type OutputLoss } from "./outputs.js";

/** What a training step minimises; weights add up as given, they need not sum to one. */
export interface LossOptions {
  /** Weight of the cross-entropy with the labels; 0 leaves it out. */
  readonly crossEntropy: number;
  /** Share of the target spread evenly over all classes, 0 to below 1. */
  readonly labelSmoothing: number;
  /** Weight of the distance to the original network's outputs; 0 leaves it out. */
  readonly distillation: number;
  /** Softening of both distributions in the distillation, above 0 (Hinton et al. 2015). */
  readonly temperature: number;
  /** Weight of the distance to the teacher's maps of attention (`attention.ts`), above 0; absent for none. */
  readonly features?: number | undefined;
  /** The outputs that the distillation matches; where absent, a classifier's logits. */
  readonly outputs?: readonly OutputLoss[] | undefined;
}

/** The outputs that a loss matches. */
export function matchedOutputs(
  network: Graph,
  { distillation, outputs }: Pick<LossOptions, "distillation" | "outputs">,
): readonly OutputLoss[] {
  if (distillation === 0) return [];
  return outputs ?? [classifierLoss(network)];
}

/** The values that a loss compares. */
export interface LossValues {
  /** Needed iff cross-entropy is on. */
  readonly classified?: ClassifiedValue | undefined;
  /** With the original's value of the same dimensions. */
  readonly matched: readonly MatchedValue[];
  /** Needed iff the loss has features. */
  readonly attended?: readonly Attended[] | undefined;
}

export interface ClassifiedValue {
  /** float32 [N, K]. */
  readonly logits: string;
  /** int64 [N]. */
  readonly labels: string;
  /** Whether each class has a probability of its own, by a sigmoid. */
  readonly isEach: boolean;
}

export interface MatchedValue {
  readonly loss: OutputLoss;
  readonly value: string;
  readonly teacher: string;
}

/**
 * Mean over the batch of −Σ_k t_k log softmax(z)_k with smoothed one-hot targets t; where each class has a probability of
 * its own, of −Σ_k (t_k log σ(z)_k + (1 − t_k) log(1 − σ(z)_k)), which is Σ_k (softplus(z_k) − t_k z_k).
 */
function crossEntropy(
  b: TypedBuilder,
  { logits, labels, isEach }: ClassifiedValue,
  smoothing: number,
): string {
  const classes = at(b.dims(logits), 1);
  const off = smoothing / classes;
  const onOff = b.constant("smoothed_targets", float32Tensor([2], [off, 1 - smoothing + off]));
  const targets = b.emit("OneHot", [labels, b.axes([classes]), onOff], { attributes: { axis: int(-1) } });
  if (!isEach) return neg(b, meanOfSums(b, mul(b, targets, logSoftmax(b, logits, 1)), 1));
  return meanOfSums(b, sub(b, b.emit("Softplus", [logits]), mul(b, targets, logits)), 1);
}

/** T² · mean over batch and positions of KL(softmax(teacher / T) ‖ softmax(z / T)), classes along `axis`. */
function softmaxDivergence(
  b: TypedBuilder,
  { value, teacher }: MatchedValue,
  axis: number,
  temperature: number,
): string {
  const soften = (name: string): string => logSoftmax(b, mul(b, name, b.scalar(1 / temperature)), axis);
  const teacherLog = soften(teacher);
  const divergence = mul(b, b.emit("Exp", [teacherLog]), sub(b, teacherLog, soften(value)));
  return mul(b, meanOfSums(b, divergence, axis), b.scalar(temperature * temperature));
}

/**
 * T² · mean over all elements of the divergence of two-class distributions with probabilities sigmoid(t / T) and
 * sigmoid(z / T), which is softplus(z') − softplus(t') − sigmoid(t')·(z' − t') with z' = z / T and t' = t / T.
 */
function sigmoidDivergence(b: TypedBuilder, { value, teacher }: MatchedValue, temperature: number): string {
  const soften = (name: string): string => mul(b, name, b.scalar(1 / temperature));
  const [z, t] = [soften(value), soften(teacher)];
  const softplus = (x: string): string => b.emit("Softplus", [x]);
  const slope = mul(b, b.emit("Sigmoid", [t]), sub(b, z, t));
  const divergence = sub(b, sub(b, softplus(z), softplus(t)), slope);
  return mul(b, meanOfAll(b, divergence), b.scalar(temperature * temperature));
}

/** An output that is matched by the distance of its numbers. */
type DistanceValue = MatchedValue & { readonly loss: Exclude<OutputLoss, { readonly measure: "kl" }> };

/** e = (value − teacher) / deviation, that of the part where there are parts. */
function relativeError(b: TypedBuilder, { loss, value, teacher }: DistanceValue): string {
  const { parts, deviation } = loss;
  const difference = sub(b, value, teacher);
  if (parts === undefined) return mul(b, difference, b.scalar(1 / deviation));
  const units = eachByPart(b.dims(value), parts, (part) => 1 / part.deviation);
  return mul(b, difference, b.constant("units", units));
}

/** The mean of what an output's numbers cost; of parts, the mean of their means. */
function meanCost(b: TypedBuilder, { loss: { parts }, value }: DistanceValue, costs: string): string {
  if (parts === undefined) return meanOfAll(b, costs);
  const dims = b.dims(value);
  const all = elementCount(dims.slice(1));
  const weights = eachByPart(dims, parts, (_, elements) => all / elements / parts.length);
  return meanOfAll(b, mul(b, costs, b.constant("weights", weights)));
}

/** A number for each element of one image, by the part that it belongs to; 0 for those of none. */
function eachByPart(
  [, ...dims]: readonly number[],
  parts: readonly MeasuredPart[],
  numberOf: (part: MeasuredPart, elements: number) => number,
): Tensor {
  const each = partOfEach(parts, dims);
  const counts = parts.map((_, part) => each.reduce((sum, own) => sum + (own === part ? 1 : 0), 0));
  const numbers = parts.map((part, index) => numberOf(part, at(counts, index)));
  return float32Tensor(
    [1, ...dims],
    Float32Array.from(each, (part) => (part < 0 ? 0 : at(numbers, part))),
  );
}

/** Mean of e². */
function squaredError(b: TypedBuilder, matched: DistanceValue): string {
  const error = relativeError(b, matched);
  return meanCost(b, matched, mul(b, error, error));
}

/** Mean of c·(e − c/2) with c = e clipped to [−1, 1]: e²/2 inside, |e| − 1/2 outside. */
function smoothL1(b: TypedBuilder, matched: DistanceValue): string {
  const error = relativeError(b, matched);
  const bounds = [-1, 1].map((bound) => b.constant("bound", scalarTensor(bound)));
  const clipped = b.emit("Clip", [error, ...bounds]);
  return meanCost(b, matched, mul(b, clipped, sub(b, error, mul(b, clipped, b.scalar(0.5)))));
}

function divergence(b: TypedBuilder, matched: MatchedValue, axis: ClassAxis, temperature: number): string {
  return axis === "each"
    ? sigmoidDivergence(b, matched, temperature)
    : softmaxDivergence(b, matched, axis, temperature);
}

/** The distance of one output to the original's, a scalar. */
function distance(b: TypedBuilder, matched: MatchedValue, temperature: number): string {
  const { loss, ...values } = matched;
  switch (loss.measure) {
    case "kl":
      return divergence(b, matched, loss.axis, temperature);
    case "mse":
      return squaredError(b, { loss, ...values });
    case "smooth-l1":
      return smoothL1(b, { loss, ...values });
  }
}

function logSoftmax(b: TypedBuilder, x: string, axis: number): string {
  return b.emit("LogSoftmax", [x], { attributes: { axis: int(axis) } });
}

/** Sum over one axis, mean over the others, as a scalar. */
function meanOfSums(b: TypedBuilder, x: string, axis: number): string {
  return meanOfAll(b, reduceSum(b, x, [axis], false));
}

function meanOfAll(b: TypedBuilder, x: string): string {
  const axes = b.dims(x).map((_, axis) => axis);
  return reduceMean(b, x, axes, false);
}

/** Emits the weighted loss as a scalar and returns its name. */
export function emitLoss(b: TypedBuilder, values: LossValues, options: LossOptions): string {
  const terms: string[] = [];
  const { classified, matched, attended } = values;
  if (options.crossEntropy > 0 && classified !== undefined) {
    const cost = crossEntropy(b, classified, options.labelSmoothing);
    terms.push(mul(b, cost, b.scalar(options.crossEntropy)));
  }
  for (const each of matched) {
    const weight = b.scalar(options.distillation * each.loss.weight);
    terms.push(mul(b, distance(b, each, options.temperature), weight));
  }
  if (options.features !== undefined && attended !== undefined && attended.length > 0)
    terms.push(mul(b, emitAttentionDistance(b, attended), b.scalar(options.features)));
  const [first, ...rest] = terms;
  return rest.reduce((sum, term) => add(b, sum, term), first ?? b.scalar(0));
}
