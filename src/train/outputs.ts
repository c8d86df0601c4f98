import { z } from "zod";
import { inputOf, orDefault } from "../graph/at.js";
import { intAttributeOr } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import { beforeOps, reshapingOps } from "../graph/following.js";
import { linkGraph } from "../graph/links.js";
import type { Dim, Graph, Node, Shape, ValueType } from "../graph/types.js";
import type { ComparedOutput } from "../measure/output_comparison.js";

/** How the distance of an output to the original's is measured. */
export const outputMeasures = ["kl", "mse", "smooth-l1"] as const;

export type OutputMeasure = (typeof outputMeasures)[number];

/**
 * Where the classes of an output are that "kl" compares: an axis, or "each": every element is the score of a class
 * of its own, against its opposite (a sigmoid's).
 */
const classAxisSchema = z.union([z.literal("each"), z.number().int().min(1)]);

export type ClassAxis = z.infer<typeof classAxisSchema>;

const matchedOutput = {
  /** Name of an output of the network. */
  output: z.string(),
  /** Weight among the outputs. */
  weight: z.number().positive(),
  /**
   * How far the original's output differs from image to image: root of the mean (over elements) variance (over
   * images). Errors are counted in units of it, so that outputs of different size weigh the same.
   */
  deviation: z.number().positive(),
};

const place = z.number().int().min(0);

/** What of an output is of one kind (`outputParts`): from and to along every axis but the first. */
const rangesSchema = z.array(z.tuple([place, place]).readonly()).readonly();

/** A part of an output, and how far it differs from image to image. */
const measuredPart = z.object({ ranges: rangesSchema, deviation: z.number().positive() }).readonly();

/** How well an output agrees with the original's, as files have it. */
export const outputAgreementSchema = z
  .object({
    output: z.string(),
    error: z.number().nullable(),
    parts: z
      .array(z.object({ ranges: rangesSchema, error: z.number().nullable() }).readonly())
      .readonly()
      .optional(),
    sameClass: z.number().optional(),
    classOf: z.enum(["image", "position"]).optional(),
    overlap: z.number().optional(),
    answers: z.number().optional(),
  })
  .readonly();

/** Of an output that is put together: its parts, which weigh the same and whose errors are counted in their own units. */
const distanceOutput = { ...matchedOutput, parts: z.array(measuredPart).readonly().optional() };

/** How one output of a network is matched to the original's. */
export const outputLossSchema = z.discriminatedUnion("measure", [
  /** T²-scaled Kullback-Leibler divergence of the class probabilities (Hinton et al. 2015). */
  z.object({ ...matchedOutput, measure: z.literal("kl"), axis: classAxisSchema }).readonly(),
  /** Mean of e² of the errors e in units of the deviation. */
  z.object({ ...distanceOutput, measure: z.literal("mse") }).readonly(),
  /** Mean of e²/2 up to |e| = 1 and of |e| - 1/2 beyond (PyTorch's SmoothL1Loss, beta 1). */
  z.object({ ...distanceOutput, measure: z.literal("smooth-l1") }).readonly(),
]);

export type OutputLoss = z.infer<typeof outputLossSchema>;

/** The activation that ends an output, and what goes into it. */
export interface FinalActivation {
  readonly op: "Softmax" | "LogSoftmax" | "Sigmoid";
  readonly input: string;
  /** The axis as the node states it, possibly negative; the default of ONNX opset 13 where it states none. */
  readonly axis: number;
}

/** The softmax or sigmoid that produces a value; undefined if none does. */
export function finalActivation(nodes: readonly Node[], value: string): FinalActivation | undefined {
  const producer = nodes.find((node) => node.outputs.includes(value));
  if (producer === undefined || producer.domain !== "") return undefined;
  const { op } = producer;
  if (op !== "Softmax" && op !== "LogSoftmax" && op !== "Sigmoid") return undefined;
  return { op, input: inputOf(producer, 0), axis: intAttributeOr(producer, "axis", -1) };
}

/** A classifier's scores before they become probabilities. */
export interface ScoredValue {
  /** [batch, classes], or with further axes of one element. */
  readonly value: string;
  /** Whether a sigmoid makes a probability of each score, where else a softmax makes them of all. */
  readonly isEach: boolean;
}

/**
 * The logits of a classifier: its first output, or what goes into the softmax or sigmoid over its classes that this output
 * is, in whatever shape.
 * @param types of all values
 */
export function scoredValue(graph: Graph, types: ReadonlyMap<string, ValueType>): ScoredValue {
  const [output] = graph.outputs;
  if (output === undefined) throw new PenniError("bad-model", "the network has no output");
  const activation = finalActivation(
    graph.nodes,
    beforeOps(linkGraph(graph).producers, output.name, reshapingOps),
  );
  const own = activation && scoreRow(types.get(activation.input)?.shape);
  const whole = scoreRow(types.get(output.name)?.shape);
  const asItIs = { value: output.name, isEach: false };
  if (activation === undefined || own === undefined || whole === undefined) return asItIs;
  if (own.batch !== whole.batch || own.classes !== whole.classes) return asItIs;
  const isEach = activation.op === "Sigmoid";
  const axis = activation.axis < 0 ? activation.axis + own.rank : activation.axis;
  if (!isEach && axis !== own.axis) return asItIs;
  return { value: activation.input, isEach };
}

/** Where the classes are in a row of scores for each image. */
interface ScoreRow {
  readonly batch: Dim;
  readonly classes: number;
  readonly axis: number;
  readonly rank: number;
}

/** Undefined of what is no row: [N, K], or one axis K among others of one element. */
export function scoreRow(shape: Shape | undefined): ScoreRow | undefined {
  if (shape === undefined) return undefined;
  const [batch] = shape;
  const axes = shape.flatMap((dim, axis) => (axis > 0 && dim !== 1 ? [axis] : []));
  const [only] = axes;
  const axis = only === undefined ? 1 : only;
  const classes = shape[axis];
  if (axes.length > 1 || typeof classes !== "number") return undefined;
  return { batch, classes, axis, rank: shape.length };
}

/** The value that a loss compares: scores before their softmax or sigmoid for "kl", else the output itself. */
export function comparedValue(network: Graph, { output, measure }: OutputLoss): string {
  if (measure !== "kl") return output;
  return finalActivation(network.nodes, output)?.input ?? output;
}

/** How outputs are matched to the original's: none of them where a loss says nothing of it. */
export function namedOutputs({
  outputs,
}: {
  readonly outputs?: readonly OutputLoss[] | undefined;
}): readonly OutputLoss[] {
  return orDefault(outputs, []);
}

/** What of an output is reported. */
export function comparedOutput(loss: OutputLoss): ComparedOutput {
  const { output, deviation } = loss;
  if (loss.measure === "kl") return { output, deviation, axis: loss.axis };
  return loss.parts === undefined ? { output, deviation } : { output, deviation, parts: loss.parts };
}

/** What is matched where nothing is said: a classifier's logits, its first output. */
export function classifierLoss(network: Graph): OutputLoss {
  const [output] = network.outputs;
  if (output === undefined) throw new PenniError("bad-model", "the network has no output");
  return { output: output.name, measure: "kl", axis: 1, weight: 1, deviation: 1 };
}
