import { entryOf, orDefault, present } from "../graph/at.js";
import { elementCount, float32Data } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import type { LayerCount } from "../measure/count.js";

/** Values of an initializer that are looked at, at most. */
const SAMPLE = 4096;
/** Halvings of the factor's range; what is left of it moves no value of a sample. */
const BISECTIONS = 40;
/** Steps of this share of a whole, taken around it, never come close to each other. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** What a network costs once its smallest coefficients are gone, as `pruneToMacs` would choose them. */
export interface Thinned {
  readonly layers: readonly LayerCount[];
  readonly paperMacs: number;
}

/**
 * Foresees `pruneToMacs` from samples of each layer's coefficients: what is left is known to a percent or so, in a
 * moment and without a pruned network.
 */
export class Thinning {
  private readonly samples: ReadonlyMap<string, Sample>;

  /** @param layers of the decomposed graph, as `countGraph` counts them */
  constructor(
    graph: Graph,
    private readonly layers: readonly LayerCount[],
  ) {
    const names = new Set(layers.flatMap(({ sparse }) => (sparse === undefined ? [] : [sparse.initializer])));
    this.samples = new Map(
      [...names].map((name) => [name, new Sample(float32Data(present(graph.initializers.get(name), name)))]),
    );
  }

  /** Multiply-accumulates (paper count) without a single coefficient that may go. */
  get least(): number {
    return this.at(Number.POSITIVE_INFINITY).paperMacs;
  }

  /** With so many multiply-accumulates (paper count) left, or as few as there can be. */
  to(paperMacs: number): Thinned {
    const isEnough = (factor: number): boolean => this.at(factor).paperMacs <= paperMacs;
    if (isEnough(0)) return this.at(0);
    let low = 0;
    // Where this is not enough yet, all that may go does.
    let high = [...this.samples.values()].reduce((most, { largest }) => Math.max(most, largest), 1) * 2;
    if (!isEnough(high)) return this.at(Number.POSITIVE_INFINITY);
    for (let round = 0; round < BISECTIONS; round++) {
      const middle = (low + high) / 2;
      if (isEnough(middle)) high = middle;
      else low = middle;
    }
    return this.at(high);
  }

  /** Basis kernels of a layer of the decomposed graph; 0 where its weights are pruned themselves. */
  basisOf({ sparse, weightDims }: LayerCount): number {
    if (sparse === undefined || weightDims === undefined) return 0;
    const whole = elementCount(weightDims);
    const size = entryOf(this.samples, sparse.initializer).count;
    return size === whole ? 0 : (size * elementCount(weightDims.slice(2))) / whole;
  }

  private at(factor: number): Thinned {
    const layers = this.layers.map((layer) => this.thinned(layer, factor));
    return { layers, paperMacs: layers.reduce((sum, { paperMacs }) => sum + paperMacs, 0) };
  }

  private thinned(layer: LayerCount, factor: number): LayerCount {
    const { sparse } = layer;
    if (sparse === undefined) return layer;
    const nonZeros = Math.round(sparse.nonZeros * entryOf(this.samples, sparse.initializer).above(factor));
    const gone = sparse.nonZeros - nonZeros;
    return {
      ...layer,
      parameters: layer.parameters - gone,
      paperMacs: layer.paperMacs - gone * sparse.positions,
      sparse: { ...sparse, nonZeros },
    };
  }
}

/** Places of values that stand for all of so many. */
export function sampledPlaces(size: number): readonly number[] {
  const taken = Math.min(SAMPLE, size);
  return Array.from({ length: taken }, (_, index) =>
    taken === size ? index : Math.floor(((index * GOLDEN) % 1) * size),
  );
}

/** Sizes of an initializer's values that are not zero, in its standard deviations. */
class Sample {
  private readonly sizes: Float64Array;
  /** Values of the initializer. */
  readonly count: number;

  constructor(data: Float32Array) {
    this.count = data.length;
    const taken = Math.min(SAMPLE, data.length);
    const values = Float64Array.from(sampledPlaces(data.length), (place) => present(data[place]));
    const mean = values.reduce((sum, value) => sum + value, 0) / taken;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / taken);
    const sizes = values.map((value) => Math.abs(value)).filter((size) => size > 0);
    // Where all are the same, a factor removes none of them.
    this.sizes = deviation > 0 ? sizes.map((size) => size / deviation).sort() : sizes.fill(Infinity);
  }

  get largest(): number {
    return orDefault(
      this.sizes.findLast((size) => Number.isFinite(size)),
      0,
    );
  }

  /** The share of values that are not zero that a factor leaves. */
  above(factor: number): number {
    if (this.sizes.length === 0) return 1;
    if (factor === Number.POSITIVE_INFINITY) return 0;
    let [low, high] = [0, this.sizes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (present(this.sizes[middle]) < factor) low = middle + 1;
      else high = middle;
    }
    return 1 - low / this.sizes.length;
  }
}
