import type { Preprocessing } from "../data/preprocessing.js";
import { at } from "../graph/at.js";
import { imageInput } from "../graph/image_input.js";
import type { Graph } from "../graph/types.js";
import { median } from "./median.js";
import { alternatives, otherOrder } from "./picture_alternatives.js";
import { biasSite, type Moments, momentsOf, normalizationSite, openSite, type Site } from "./picture_site.js";
import type { ChosenImages } from "./run_on_images.js";

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
