import { readClassNames } from "../data/preprocessing.js";
import { at, orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { firstOf } from "../graph/operands.js";
import type { Graph, ValueInfo } from "../graph/types.js";
import { type MeasuredPart, outputDeviations, SAME_FOR_ALL } from "../measure/output_deviation.js";
import { describeParts } from "../measure/output_parts.js";
import type { MeasuredImages } from "../measure/run_on_images.js";
import { inferGraph } from "../ops/inference/infer.js";
import {
  type ClassAxis,
  finalActivation,
  namedOutputs,
  type OutputLoss,
  type OutputMeasure,
} from "../train/outputs.js";

import type { RunConfig } from "./config.js";

/** How the user wants an output to be matched. */
export interface OutputChoice {
  readonly measure: OutputMeasure;
  /** From 0, which leaves the output out. */
  readonly weight: number;
  /** Axis of the classes, for "kl"; by default that of the softmax, the last of three dimensions, else 1. */
  readonly axis?: number;
}

/** An output that is not matched, and why. */
export interface LeftOutput {
  readonly output: string;
  readonly reason: string;
}

export interface MatchedOutputs {
  readonly matched: readonly OutputLoss[];
  readonly leftOut: readonly LeftOutput[];
}

/** What decides how outputs are matched. */
export interface MatchRequest {
  /** The original, simplified. */
  readonly network: Graph;
  /** By name of the output; the others are matched by what they are. */
  readonly choices: ReadonlyMap<string, OutputChoice>;
  /** Classes of the labels of the images; undefined where they have none. */
  readonly labelClasses: number | undefined;
  readonly images: MeasuredImages;
  /** Why a network cannot be trained on these outputs; undefined if it can. */
  readonly trainingProblem: (losses: readonly OutputLoss[]) => string | undefined;
}

/**
 * Decides for every output of a network how it is matched to the original's. Class scores (out of a softmax or
 * sigmoid, called logits, or [N, K] where the labels or the model's class names say so) by the divergence of
 * their probabilities, everything else by its squared error. What cannot be matched is left out.
 * @throws PenniError "bad-option" if a choice is impossible; "unsupported" if nothing can be matched
 */
export async function matchOutputs(request: MatchRequest): Promise<MatchedOutputs> {
  const { network, choices } = request;
  checkNames(network, choices);
  const found = await describeOutputs(request);
  const described = found.flatMap((each) => ("reason" in each ? [] : [each]));
  const losses = described.map((output) => lossOf(output, choices.get(output.name), request));
  const untrainable = findUntrainable(losses, request);
  const leftOut = [...found.flatMap((each) => ("reason" in each ? [each] : [])), ...untrainable];
  const matched = losses.filter(({ output }) => !untrainable.some((each) => each.output === output));
  refuseChosen(leftOut, choices);
  if (matched.length > 0) return { matched, leftOut };
  throw new PenniError("unsupported", "no output of the network can be matched to the original's", {
    expected: "a float32 output that depends on the image, with gradients on the way to it",
    found: describeLeftOut(leftOut),
    advice: leftOut.every(({ reason }) => reason === SAME_FOR_ALL)
      ? "See whether the pictures differ, whether the model takes them so (--mean, --std, --scale), and whether it is trained"
      : "Export the model with the outputs of its layers, before post-processing",
  });
}

/** What the user is told about what is learned from besides labels, line by line: nothing where all is as usual. */
export function describeMatching({ settings, teacher, leftOut = [] }: RunConfig): readonly string[] {
  const matched = namedOutputs(settings.loss).map(
    (loss) => `output "${loss.output}" is matched by ${describeMeasure(loss)}, weight ${loss.weight}`,
  );
  const taught = teacher === undefined ? [] : [`learning from the scores of ${teacher}, not the original's`];
  const missing = leftOut.map(({ output, reason }) => `output "${output}" is left out: ${reason}`);
  return [...taught, ...matched, ...missing];
}

function describeMeasure(loss: OutputLoss): string {
  if (loss.measure !== "kl") {
    const advice = `if these are class scores: --output-loss ${loss.output}=kl`;
    return `${loss.measure} in units of ${describeUnit(loss)} (${advice})`;
  }
  return loss.axis === "each" ? "kl of each element" : `kl over axis ${loss.axis}`;
}

/** Parts that a line has room for. */
const MOST_PARTS = 4;

function describeUnit({
  deviation,
  parts,
}: Extract<OutputLoss, { readonly measure: "mse" | "smooth-l1" }>): string {
  if (parts === undefined) return `${deviation}`;
  const names = describeParts(parts);
  const shown = parts
    .slice(0, MOST_PARTS)
    .map(({ deviation: unit }, part) => `${unit} for ${at(names, part)}`);
  const more = parts.length - shown.length;
  return [...shown, ...(more > 0 ? [`others for ${more} more parts`] : [])].join(", ");
}

/** One line on outputs that are left out, each with its reason. */
export function describeLeftOut(leftOut: readonly LeftOutput[]): string {
  return leftOut.map(({ output, reason }) => `"${output}": ${reason}`).join("; ");
}

function checkNames(network: Graph, choices: MatchRequest["choices"]): void {
  const names = network.outputs.map(({ name }) => name);
  const unknown = [...choices.keys()].filter((name) => !names.includes(name));
  if (unknown.length === 0) return;
  throw new PenniError("bad-option", "the model has no such output", {
    expected: names.map((name) => `"${name}"`).join(", "),
    found: unknown.map((name) => `"${name}"`).join(", "),
  });
}

/** An output that can be matched. */
interface Described {
  readonly name: string;
  readonly index: number;
  /** For one image. */
  readonly dims: readonly number[];
  readonly deviation: number;
  readonly parts?: readonly MeasuredPart[] | undefined;
}

async function describeOutputs({
  network,
  choices,
  images,
}: MatchRequest): Promise<readonly (Described | LeftOutput)[]> {
  const { types } = inferGraph(network);
  const reasonOf = ({ name, type }: ValueInfo): string | undefined => {
    if (choices.get(name)?.weight === 0) return "its weight is 0";
    const elementType = types.get(name)?.elementType ?? type?.elementType ?? "float32";
    return elementType === "float32" ? undefined : `it is ${elementType}, not float32`;
  };
  const reasons = new Map(network.outputs.map((info) => [info.name, reasonOf(info)]));
  const measured = network.outputs.map(({ name }) => name).filter((name) => reasons.get(name) === undefined);
  const deviations = await outputDeviations(network, measured, images);
  return network.outputs.map(({ name }, index) => {
    const found = deviations.get(name) ?? { problem: reasons.get(name) ?? "it cannot be computed" };
    return "problem" in found ? { output: name, reason: found.problem } : { name, index, ...found };
  });
}

function lossOf(output: Described, choice: OutputChoice | undefined, request: MatchRequest): OutputLoss {
  const weight = orDefault(choice?.weight, 1);
  const common = { output: output.name, weight, deviation: rounded(output.deviation) };
  const parts = output.parts?.map((part) => ({ ...part, deviation: rounded(part.deviation) }));
  const distance = parts === undefined ? common : { ...common, parts };
  if (choice !== undefined && choice.measure !== "kl") return { ...distance, measure: choice.measure };
  const axis = choice === undefined ? evidentAxis(output, request) : chosenAxis(output, choice, request);
  return axis === undefined ? { ...distance, measure: "mse" } : { ...common, measure: "kl", axis };
}

/** Readable in `config.json`; the scale of an error needs no more. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}

/** Where the classes are if the output says that it has any: in the network, in its name, or in the metadata. */
function evidentAxis(output: Described, request: MatchRequest): ClassAxis | undefined {
  const axis = finalAxis(output, request.network) ?? namedAxis(output, request);
  return axis === "each" || (axis !== undefined && isClassAxis(output, axis)) ? axis : undefined;
}

/** The axis of the softmax, or "each" of the sigmoid, that ends an output. */
function finalAxis({ name, dims }: Described, network: Graph): ClassAxis | undefined {
  const activation = finalActivation(network.nodes, name);
  if (activation?.op === "Sigmoid") return "each";
  if (activation === undefined) return undefined;
  return activation.axis < 0 ? activation.axis + dims.length : activation.axis;
}

function namedAxis(output: Described, { network, labelClasses }: MatchRequest): number | undefined {
  const { name, index, dims } = output;
  if (/logit/i.test(name)) return defaultAxis(dims);
  // For one image: where there are more rows, they are boxes or positions.
  if (index > 0 || dims.length !== 2) return undefined;
  const [rows, classes] = firstOf(dims, 2);
  if (rows !== 1) return undefined;
  const isLabelled = labelClasses === classes;
  return isLabelled || readClassNames(network.metadata)?.length === classes ? 1 : undefined;
}

/** [N, K], [N, K, H, W], but [N, boxes, K]. */
function defaultAxis({ length }: readonly number[]): number {
  return length === 3 ? 2 : 1;
}

function isClassAxis({ dims }: Described, axis: number): boolean {
  const classes = dims[axis];
  return axis >= 1 && classes !== undefined && classes >= 2;
}

/** @throws PenniError "bad-option" if there are no classes to compare */
function chosenAxis(output: Described, { axis }: OutputChoice, { network }: MatchRequest): ClassAxis {
  const { name, dims } = output;
  const own = finalAxis(output, network);
  if (axis === undefined && own === "each") return own;
  const chosen = axis ?? own ?? defaultAxis(dims);
  const contradicts = own !== undefined && own !== chosen;
  if (!contradicts && chosen !== "each" && isClassAxis(output, chosen)) return chosen;
  throw new PenniError("bad-option", `output "${name}" cannot be matched by kl over axis ${chosen}`, {
    expected: contradicts ? describeOwn(own) : "an axis from 1 with two classes or more",
    found: `[${dims.join(", ")}]`,
    advice: `Choose another axis (--output-loss ${name}=kl@AXIS) or mse`,
  });
}

function describeOwn(own: ClassAxis): string {
  return own === "each" ? "no axis: it comes from a sigmoid" : `axis ${own}, that of its softmax`;
}

/** The outputs that cannot be trained on; all of them are tried at once first. */
function findUntrainable(
  losses: readonly OutputLoss[],
  { trainingProblem }: MatchRequest,
): readonly LeftOutput[] {
  if (losses.length > 1 && trainingProblem(losses) === undefined) return [];
  return losses.flatMap((loss) => {
    const reason = trainingProblem([loss]);
    return reason === undefined ? [] : [{ output: loss.output, reason }];
  });
}

/** @throws PenniError "bad-option" if the user has chosen how to match an output that cannot be matched */
function refuseChosen(leftOut: readonly LeftOutput[], choices: MatchRequest["choices"]): void {
  const chosen = leftOut.filter(({ output }) => {
    const choice = choices.get(output);
    return choice !== undefined && choice.weight > 0;
  });
  if (chosen.length === 0) return;
  throw new PenniError("bad-option", "an output with a loss of its own cannot be matched", {
    found: describeLeftOut(chosen),
    advice: "Leave out its --output-loss",
  });
}
