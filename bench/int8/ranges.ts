import { at, entryOf, orDefault, present } from "../../src/graph/at.js";
import type { Graph } from "../../src/graph/types.js";
import { classifierInterface } from "../../src/measure/accuracy.js";
import { type MeasuredImages, runOnImages } from "../../src/measure/run_on_images.js";
import { quantizedValues, type ValueRange } from "./quantize.js";

// Ranges of values from images: what 256 steps are laid over.

/** How often a value took numbers in each of equal parts of its whole range. */
export interface Histogram extends ValueRange {
  readonly counts: Float64Array;
}

const BINS = 2048;
const BATCH = 32;
const STEPS = 255;

/** Ways to choose a range: all that was seen, all but a share at each end, or what rounding and cutting lose least by. */
export const rangeRules: Readonly<Record<string, (histogram: Histogram) => ValueRange>> = {
  "min-max": ({ low, high }) => ({ low, high }),
  "99.99 %": (histogram) => betweenShares(histogram, 1e-4),
  "least squares": leastSquares,
};

/** Histograms of the values that are to be quantized, over all images. */
export async function histogramsOf(
  graph: Graph,
  images: MeasuredImages,
): Promise<ReadonlyMap<string, Histogram>> {
  const names = quantizedValues(graph);
  const ranges = new Map<string, ValueRange>();
  await visit(graph, images, names, (name, values) => {
    let { low, high } = orDefault(ranges.get(name), { low: 0, high: 0 });
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    ranges.set(name, { low, high });
  });
  const histograms = new Map(
    names.map((name) => [name, { ...entryOf(ranges, name), counts: new Float64Array(BINS) }]),
  );
  await visit(graph, images, names, (name, values) => {
    const { low, high, counts } = entryOf(histograms, name);
    const bins = BINS / Math.max(high - low, Number.MIN_VALUE);
    for (const value of values) {
      const bin = Math.min(BINS - 1, Math.floor((value - low) * bins));
      counts[bin] = present(counts[bin]) + 1;
    }
  });
  return histograms;
}

async function visit(
  graph: Graph,
  images: MeasuredImages,
  names: readonly string[],
  each: (name: string, values: Float32Array) => void,
): Promise<void> {
  const { input } = classifierInterface(graph, images.split, images.preprocessing);
  const outputs = names.filter((name) => name !== input);
  const network = { ...graph, outputs: outputs.map((name) => ({ name, type: undefined })) };
  const runs = runOnImages(network, images, { input, batch: BATCH }, { threads: images.threads });
  for await (const { feeds, results, size, count } of runs) {
    for (const name of names) {
      const data = (name === input ? feeds : results)[name]?.data;
      if (!(data instanceof Float32Array)) throw new Error(`value "${name}" is not float32`);
      each(name, data.subarray(0, (data.length / size) * count));
    }
  }
}

const centre = ({ low, high, counts }: Histogram, bin: number): number =>
  low + ((bin + 0.5) * (high - low)) / counts.length;

/** Without this share of the numbers at the end below, and at the end above; zero stays in. */
function betweenShares(histogram: Histogram, share: number): ValueRange {
  const { counts } = histogram;
  const most = share * counts.reduce((sum, count) => sum + count, 0);
  const end = (bins: readonly number[]): number => {
    let passed = 0;
    for (const bin of bins) {
      passed += at(counts, bin);
      if (passed > most) return centre(histogram, bin);
    }
    return 0;
  };
  const bins = [...counts.keys()];
  return { low: Math.min(0, end(bins)), high: Math.max(0, end(bins.toReversed())) };
}

/** Shares of the whole range that are tried. */
const shares = Array.from({ length: 96 }, (_, step) => 1 - step / 100);

function leastSquares(histogram: Histogram): ValueRange {
  const tried = shares.map((share) => ({ low: share * histogram.low, high: share * histogram.high }));
  const errors = tried.map((range) => squaredError(histogram, range));
  return at(tried, errors.indexOf(Math.min(...errors)));
}

/** Of rounding what lies within, which is a twelfth of a step squared, and of cutting off what does not. */
function squaredError(histogram: Histogram, { low, high }: ValueRange): number {
  const rounding = ((high - low) / STEPS) ** 2 / 12;
  return histogram.counts.reduce((sum, count, bin) => {
    const value = centre(histogram, bin);
    const cut = Math.max(low - value, value - high, 0);
    return sum + count * (cut > 0 ? cut ** 2 : rounding);
  }, 0);
}
