import { countNonZeros, elementCount, float32Data } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import type { LayerCount } from "../measure/count.js";
import { encodedSize } from "../onnx/write.js";
import { foldNormalization } from "../ops/passes/fold_normalization.js";

/** A layer, and the basis kernels that it is on; 0 where its weights are pruned themselves. */
export interface SizedLayer {
  readonly count: LayerCount;
  readonly d: number;
}

/** Foresees how large the file of a compressed network is, without making it. */
export class FileSize {
  /** Of everything but the weights whose zeros count. */
  private readonly besides: number;

  /**
   * @param graph as it comes in
   * @param layers of it
   * @param valueBytes of a number: 4 of float32, 2 of float16
   */
  constructor(
    graph: Graph,
    layers: readonly LayerCount[],
    private readonly valueBytes: number,
  ) {
    // The export has normalizations within its weights.
    const folded = foldNormalization(graph);
    const names = [...folded.initializers].map(
      ([name, tensor]) => [name, { ...tensor, dims: [0], bytes: new Uint8Array() }] as const,
    );
    const frame = encodedSize({ ...folded, initializers: new Map(names), valueInfo: new Map() });
    const stored = [...folded.initializers.values()].reduce(
      (sum, { type, bytes }) => sum + (type === "float32" ? (bytes.length * valueBytes) / 4 : bytes.length),
      0,
    );
    const weights = weightsOf(layers);
    const inLayers = valueBytes * [...weights.values()].reduce((sum, size) => sum + size, 0);
    this.besides = frame + stored - inLayers - this.zerosBeside(folded, weights);
  }

  /** Bytes that other constants do without their zeros: channels of zeros, say, that an import made of a Pad. */
  private zerosBeside({ initializers }: Graph, weights: ReadonlyMap<string, number>): number {
    return [...initializers].reduce((sum, [name, tensor]) => {
      if (tensor.type !== "float32" || weights.has(name)) return sum;
      const size = elementCount(tensor.dims);
      return sum + size * this.valueBytes - this.stored(size, countNonZeros(float32Data(tensor)));
    }, 0);
  }

  /** Bytes with these layers, each in the smallest of its forms. */
  of(layers: readonly SizedLayer[]): number {
    const seen = new Set<string>();
    return layers.reduce((sum, layer) => sum + this.weightBytes(layer, seen), this.besides);
  }

  private weightBytes({ count: { sparse, weightDims }, d }: SizedLayer, seen: Set<string>): number {
    if (sparse === undefined || weightDims === undefined) return 0;
    // Several layers may have the same weight.
    if (seen.has(sparse.initializer)) return 0;
    seen.add(sparse.initializer);
    const { nonZeros } = sparse;
    const [whole, taps] = [elementCount(weightDims), elementCount(weightDims.slice(2))];
    if (d === 0) return this.stored(whole, nonZeros);
    const size = (whole / taps) * d;
    // A kernel is zero where all of its coefficients are.
    const merged = Math.round(whole * (1 - (1 - nonZeros / size) ** d));
    return Math.min(this.stored(size, nonZeros) + d * taps * this.valueBytes, this.stored(whole, merged));
  }

  /** Values, or those that are not zero with their places. */
  private stored(size: number, nonZeros: number): number {
    return Math.min(size * this.valueBytes, nonZeros * (this.valueBytes + placeBytes(size)));
  }
}

/** Sizes of the weights whose zeros count, each once, by name. */
function weightsOf(layers: readonly LayerCount[]): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const { sparse, weightDims } of layers)
    if (sparse !== undefined && weightDims !== undefined)
      sizes.set(sparse.initializer, elementCount(weightDims));
  return sizes;
}

/** Of a place below a size, seven bits in a byte. */
function placeBytes(size: number): number {
  return Math.max(1, Math.ceil(Math.log2(size + 1) / 7));
}
