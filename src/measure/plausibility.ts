import type { Preprocessing } from "../data/preprocessing.js";
import type { Session } from "../execute/engine.js";
import { openSession } from "../execute/node.js";
import { at, hasInput, hasOutput, inputOf, orDefault, outputOf, present } from "../graph/at.js";
import { attributes } from "../graph/attributes.js";
import { freshNames, usedNames } from "../graph/edit.js";
import { PenniError } from "../graph/errors.js";
import { imageInput } from "../graph/image_input.js";
import { ofInput } from "../graph/operands.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import { float32Data } from "../graph/tensor.js";
import type { Graph, Node } from "../graph/types.js";
import { float32Interface } from "../ops/passes/float16.js";
import { median } from "./median.js";
import { alternatives, otherOrder } from "./picture_alternatives.js";
import { type ChosenImages, feedChosen, runEach } from "./run_on_images.js";

/** How many pictures are looked at. */
export const PLAUSIBILITY_IMAGES = 64;

/**
 * Whether pictures look to a model as those that it was trained on. What its first BatchNormalization is given is
 * compared with that node's running statistics, also for other ways to take pictures; without one, what the pictures
 * make of the first convolution is compared with its bias.
 * @returns what is wrong and which options would fit better, for people; undefined where all is well or nothing can be
 *   said
 * @param images to look at, taken as the model is thought to take them
 */
export async function pictureWarning(model: Graph, images: ChosenImages): Promise<string | undefined> {
  const takesLevels = imageInput(model).elementType === "uint8";
  const site = normalizationSite(model) ?? (takesLevels ? undefined : biasSite(model));
  if (site === undefined || images.indices.length === 0) return undefined;
  const session = await openSite(model, site);
  if (session === undefined) return undefined;
  try {
    const look = (preprocessing: Preprocessing): Promise<Moments> =>
      momentsOf(session, { ...images, preprocessing });
    const found = await look(images.preprocessing);
    const silence = silenceOf(site, found);
    if (silence !== undefined) return silence;
    return site.kind === "normalization"
      ? await normalizationWarning(site, found, images.preprocessing, takesLevels, look)
      : biasWarning(site, images.preprocessing, found);
  } finally {
    await session.session.release();
  }
}

/** Mean and standard deviation of every channel. */
interface Moments {
  readonly means: readonly number[];
  readonly deviations: readonly number[];
}

type Site =
  | { readonly kind: "normalization"; readonly value: string; readonly expected: Moments }
  | { readonly kind: "bias"; readonly value: string; readonly bias: Float32Array };

/** What the first BatchNormalization is given, if it was trained. */
function normalizationSite(model: Graph): Site | undefined {
  const node = model.nodes.find(({ op }) => op === "BatchNormalization");
  if (node === undefined || !hasInput(node, 0)) return undefined;
  const [means, variances] = [constantInput(model, node, 3), constantInput(model, node, 4)];
  if (means === undefined || variances === undefined) return undefined;
  if (means.every((each) => each === 0) && variances.every((each) => each === 1)) return undefined;
  const isUsable = [...means, ...variances].every(Number.isFinite) && variances.some((each) => each > 0);
  if (!isUsable) return undefined;
  return {
    kind: "normalization",
    value: inputOf(node, 0),
    expected: { means: [...means], deviations: [...variances].map((each) => Math.sqrt(Math.max(0, each))) },
  };
}

/** What the first convolution computes, if it has a bias. */
function biasSite(model: Graph): Site | undefined {
  const node = model.nodes.find(({ op }) => op === "Conv");
  if (node === undefined || !hasOutput(node, 0)) return undefined;
  const bias = constantInput(model, node, 2);
  if (bias === undefined || bias.every((each) => each === 0)) return undefined;
  return { kind: "bias", value: outputOf(node, 0), bias };
}

function constantInput(model: Graph, node: Node, index: number): Float32Array | undefined {
  const tensor = ofInput(model.initializers, node, index);
  return tensor?.type === "float32" ? float32Data(tensor) : undefined;
}

interface SiteSession {
  readonly session: Session;
  readonly input: string;
  readonly output: string;
}

/** The model up to the site, for one image; undefined where that does not run. */
async function openSite(model: Graph, { value }: Site): Promise<SiteSession | undefined> {
  const output = freshNames(usedNames(model))("looked_at");
  const copy: Node = {
    name: output,
    op: "Identity",
    domain: "",
    inputs: [value],
    outputs: [output],
    attributes: attributes({}),
  };
  const cut = removeDeadNodes({
    ...model,
    nodes: [...model.nodes, copy],
    outputs: [{ name: output, type: undefined }],
  });
  try {
    const session = await openSession(fixBatch(float32Interface(cut), 1), { spinning: false });
    return { session, input: imageInput(model).name, output };
  } catch (error) {
    if (error instanceof PenniError) return undefined;
    throw error;
  }
}

async function momentsOf({ session, input, output }: SiteSession, images: ChosenImages): Promise<Moments> {
  const sums: number[] = [];
  const squares: number[] = [];
  let count = 0;
  for await (const { results } of runEach(session, feedChosen(images, { input, batch: 1 }), [output])) {
    const { data, dims } = present(results[output], "the value that is looked at");
    if (!(data instanceof Float32Array)) break;
    // Where a value has one axis there is nothing beside the batch.
    const channels = orDefault(dims[1], 1);
    const size = data.length / channels;
    count += size;
    data.forEach((value, index) => {
      const channel = Math.floor(index / size);
      sums[channel] = orDefault(sums[channel], 0) + value;
      squares[channel] = orDefault(squares[channel], 0) + value * value;
    });
  }
  const means = sums.map((sum) => sum / count);
  const deviations = squares.map((square, channel) =>
    Math.sqrt(Math.max(0, square / count - at(means, channel) ** 2)),
  );
  return { means, deviations };
}

/** What varies by less than this share of its size is rounding, that of the sums. */
const ROUNDING = 1e-5;

/** What is to be said where what a site is given tells nothing of the pictures; undefined where it does. */
function silenceOf({ kind }: Site, { means, deviations }: Moments): string | undefined {
  const place = {
    normalization: "the first BatchNormalization is given",
    bias: "the first convolution computes",
  }[kind];
  if (![...means, ...deviations].every(Number.isFinite))
    return `what ${place} for these pictures is not finite: check the weights before it`;
  const isConstant = deviations.every(
    (deviation, channel) => deviation <= ROUNDING * Math.abs(at(means, channel)),
  );
  return isConstant
    ? `what ${place} is the same for all of these pictures: check the weights before it, and the pictures`
    : undefined;
}

/** A channel whose deviation is below this share of the largest tells nothing. */
const LEAST_DEVIATION = 1e-3;
/** One channel that does not fit at all is no more than this. */
const WORST_MISFIT = 10;

/**
 * How far moments are from those that are expected, as root mean square over channels of the logarithm of the
 * deviations' ratio and of the difference of the means in units of the expected deviation. Some 0.3 for a trained
 * network on its own pictures, up to 0.1 more with red and blue exchanged; 1 and more for those of another usual
 * normalisation, 5 for those of another scale.
 */
function misfit(found: Moments, expected: Moments): number {
  const least = LEAST_DEVIATION * Math.max(...expected.deviations);
  const parts = expected.deviations.map((deviation, channel) => {
    const unit = Math.max(deviation, least);
    const ratio = Math.max(at(found.deviations, channel), 1e-6 * unit) / unit;
    const shift = at(found.means, channel) - at(expected.means, channel);
    return Math.min(WORST_MISFIT, Math.hypot(Math.log(ratio), shift / unit)) ** 2;
  });
  return Math.sqrt(parts.reduce((sum, part) => sum + part, 0) / parts.length);
}

/** Beyond this, pictures look unlike those of the training. */
const SUSPICIOUS_MISFIT = 0.6;
/** Another way to take pictures is named where it leaves less than this share of the misfit. */
const CLEARLY_BETTER = 0.7;
/** The same for another order of colours alone, which changes little: the right one leaves 70 to 92 % of the other's. */
const BETTER_ORDER = 0.9;

async function normalizationWarning(
  { expected }: Extract<Site, { kind: "normalization" }>,
  found: Moments,
  preprocessing: Preprocessing,
  takesLevels: boolean,
  look: (preprocessing: Preprocessing) => Promise<Moments>,
): Promise<string | undefined> {
  const now = misfit(found, expected);
  const isSuspicious = now > SUSPICIOUS_MISFIT;
  const others = isSuspicious && !takesLevels ? alternatives(preprocessing) : otherOrder(preprocessing);
  let best: { readonly options: string; readonly misfit: number; readonly found: Moments } | undefined;
  for (const { options, values } of others) {
    const moments = await look({ ...preprocessing, ...values });
    const each = misfit(moments, expected);
    if (best === undefined || each < best.misfit) best = { options, misfit: each, found: moments };
  }
  const isBetter = best !== undefined && best.misfit < (isSuspicious ? CLEARLY_BETTER : BETTER_ORDER) * now;
  if (!isSuspicious && !isBetter) return undefined;
  const suggestion =
    best !== undefined && isBetter
      ? `${best.options} fits better: variance ${variance(best.found)}, means ${shift(best.found, expected)} deviations off`
      : "check --scale, --mean, --std, --color and --layout";
  return (
    `the first BatchNormalization expects a variance of ${variance(expected)} (median of its channels); ` +
    `these pictures give ${variance(found)}, and means ${shift(found, expected)} deviations off: ${suggestion}`
  );
}

function variance({ deviations }: Moments): string {
  return short(median(deviations.map((deviation) => deviation ** 2)));
}

function shift(found: Moments, expected: Moments): string {
  const least = LEAST_DEVIATION * Math.max(...expected.deviations);
  return short(
    median(
      expected.means.map(
        (mean, channel) =>
          Math.abs(at(found.means, channel) - mean) / Math.max(at(expected.deviations, channel), least),
      ),
    ),
  );
}

const short = (value: number): string => `${Number(value.toPrecision(2))}`;

/** Shares of the bias in what the first convolution computes that are usual; a factor of 255 leads out of them. */
const LEAST_SHARE = 0.03;
const LARGEST_SHARE = 20;

/** A bias that decides everything, or nothing, was trained on another scale. */
function biasWarning(
  { bias }: Extract<Site, { kind: "bias" }>,
  { scale }: Preprocessing,
  { deviations }: Moments,
): string | undefined {
  // A channel that nothing is added to says nothing about the pictures.
  const least = LEAST_DEVIATION * Math.max(...deviations);
  const shares = deviations.flatMap((deviation, channel) =>
    deviation < least ? [] : [Math.abs(at(bias, channel)) / deviation],
  );
  const share = median(shares);
  const isWeak = share > LARGEST_SHARE;
  if (!isWeak && share >= LEAST_SHARE) return undefined;
  const isLarge = scale > 0.1;
  if (isWeak === isLarge) return undefined;
  return (
    `the first convolution's bias is ${short(share)} times as large as what these pictures add to it (median of its ` +
    `channels), ${isWeak ? "so that they hardly matter" : "so that it hardly matters"}: ` +
    `${isWeak ? "--scale 255" : "--scale 1"}?`
  );
}
