import type { Batch } from "../data/batches.js";
import { at, entryOf, orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { standardOpset } from "../ops/core/definition.js";
import { mul, reduceMean } from "../ops/core/emit.js";
import { TypedBuilder } from "../ops/inference/builder.js";
import { inferGraph } from "../ops/inference/infer.js";
import { feedImages, runNetwork } from "./run_on_images.js";

export interface Moments {
  readonly mean: readonly number[];
  readonly variance: readonly number[];
}

/**
 * Mean and variance by channel (over batch and space) of values [N, C, ...] of a network with a static
 * batch, over whole batches of images. The sums are made inside the runtime: only [C] numbers come out.
 */
export async function channelMoments(
  network: Graph,
  values: readonly string[],
  batches: Iterable<Batch>,
  imageDims: readonly [channels: number, height: number, width: number],
  threads: number,
): Promise<ReadonlyMap<string, Moments>> {
  const [input] = network.inputs;
  if (input === undefined) throw new PenniError("bad-model", "the network has no input");
  const { types } = inferGraph(network);
  const b = new TypedBuilder(standardOpset(network), types.keys());
  const outputs = values.map((name) => {
    const type = types.get(name);
    if (type?.shape === undefined)
      throw new PenniError("shape", "a value has no known shape", { found: name });
    b.declare(name, type);
    const axes = type.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
    return {
      name,
      mean: reduceMean(b, name, axes, false),
      square: reduceMean(b, mul(b, name, name), axes, false),
    };
  });
  const extended: Graph = {
    ...network,
    nodes: [...network.nodes, ...b.nodes],
    initializers: new Map([...network.initializers, ...b.initializers]),
    outputs: outputs
      .flatMap(({ mean, square }) => [mean, square])
      .map((name) => ({ name, type: b.types.get(name) })),
    valueInfo: new Map(),
  };
  const sums = new Map(outputs.map(({ name }) => [name, { mean: [] as number[], square: [] as number[] }]));
  let count = 0;
  const images = feedImages(batches, input.name, imageDims);
  for await (const { results } of runNetwork(extended, { threads }, images)) {
    for (const { name, mean, square } of outputs) {
      const sum = entryOf(sums, name);
      accumulate(sum.mean, results[mean]?.data as Float32Array);
      accumulate(sum.square, results[square]?.data as Float32Array);
    }
    count += 1;
  }
  return new Map(
    [...sums].map(([name, sum]) => {
      const mean = sum.mean.map((value) => value / count);
      const variance = sum.square.map((value, channel) =>
        Math.max(0, value / count - at(mean, channel) ** 2),
      );
      return [name, { mean, variance }];
    }),
  );
}

function accumulate(sums: number[], values: Float32Array): void {
  values.forEach((value, channel) => {
    sums[channel] = orDefault(sums[channel], 0) + value;
  });
}
