import type { Feeds } from "../execute/engine.js";
import { at, listOf, present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { imageInput } from "../graph/image_input.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { inferGraph } from "../ops/inference/infer.js";
import { type OutputPart, outputParts, partOfEach } from "./output_parts.js";
import { type MeasuredImages, runOnImages } from "./run_on_images.js";

/** Images that are tried together. */
const TOGETHER = 2;
/** Values may differ by this share of the largest, as sums are made in another order. */
const TOLERANCE = 1e-3;

/**
 * Why a network whose file states a batch of one cannot take several images at once: its reshapes may fold the batch into
 * channels and back, which one image cannot tell. Undefined where shapes say nothing against it, and for networks that
 * leave the batch open.
 */
export function batchObstacle(network: Graph): PenniError | undefined {
  if (!statesBatch(network)) return undefined;
  try {
    inferGraph(fixBatch(network, TOGETHER));
    return undefined;
  } catch (error) {
    if (error instanceof PenniError) return error;
    throw error;
  }
}

/**
 * `batchObstacle`, and for networks without one whether two images together give what they give alone.
 * @param network with one image input
 */
export async function batchProblem(network: Graph, images: MeasuredImages): Promise<PenniError | undefined> {
  if (!statesBatch(network) || images.indices.length < TOGETHER) return undefined;
  const obstacle = batchObstacle(network);
  if (obstacle !== undefined) return obstacle;
  try {
    const alone = await outputsOf(network, 1, images);
    const together = await outputsOf(network, TOGETHER, images);
    return comparedWith(alone, at(together, 0), outputParts(network));
  } catch (error) {
    if (error instanceof PenniError) return error;
    throw error;
  }
}

function statesBatch({ inputs }: Graph): boolean {
  return inputs.some(({ type }) => typeof type?.shape?.[0] === "number");
}

/** The outputs for the first images, in batches of this size. */
async function outputsOf(
  network: Graph,
  batch: number,
  { threads, ...images }: MeasuredImages,
): Promise<readonly Feeds[]> {
  const tried = { ...images, indices: images.indices.subarray(0, TOGETHER) };
  const run = { input: imageInput(network).name, batch };
  const found: Feeds[] = [];
  for await (const { results } of runOnImages(fixBatch(network, batch), tried, run, { threads }))
    found.push(results);
  return found;
}

/** What is wrong with the outputs of several images at once. @param parts of outputs that are put together */
function comparedWith(
  alone: readonly Feeds[],
  together: Feeds,
  parts: ReadonlyMap<string, readonly OutputPart[]>,
): PenniError | undefined {
  for (const [output, { data, dims }] of Object.entries(together)) {
    const kinds = partOfEach(listOf(parts, output), dims.slice(1));
    const single = alone.flatMap((results) => {
      const found = results[output]?.data;
      return found instanceof Float32Array ? [found] : [];
    });
    if (!(data instanceof Float32Array) || single.length < TOGETHER || isSame(data, single[0], kinds))
      continue;
    const joined = single.flatMap((values) => [...values]);
    if (isSame(data, joined, kinds)) continue;
    return new PenniError("shape", `output "${output}" of several images at once is not that of each alone`);
  }
  return undefined;
}

/** @param kinds of one image's numbers: those of a kind are compared with the largest of it */
function isSame(a: ArrayLike<number>, b: ArrayLike<number> | undefined, kinds: Int8Array): boolean {
  if (a.length !== b?.length) return false;
  const found = new Map<number, { largest: number; difference: number }>();
  for (let index = 0; index < a.length; index++) {
    const [value, other] = [present(a[index]), present(b[index])];
    const kind = present(kinds[index % kinds.length]);
    const { largest, difference } = found.get(kind) ?? { largest: 0, difference: 0 };
    found.set(kind, {
      largest: Math.max(largest, Math.abs(value)),
      // A NaN that both have is no difference.
      difference: Object.is(value, other) ? difference : Math.max(difference, Math.abs(value - other)),
    });
  }
  return [...found.values()].every(({ largest, difference }) => difference <= TOLERANCE * largest);
}
