import { present } from "../../graph/at.js";
import { float32Data } from "../../graph/tensor.js";
import type { Graph } from "../../graph/types.js";
import { type DecomposedLayer, findDecompositions } from "../../layers/weights.js";
import { layerName } from "../../method/inspect.js";

/** A layer on its basis, in numbers. */
export interface BasisView extends Pick<DecomposedLayer, "K" | "C" | "R" | "S" | "d" | "groups"> {
  readonly name: string;
  /** d kernels of R*S values. */
  readonly basis: readonly (readonly number[])[];
  /** Coefficients that are not zero, of K*C*d. */
  readonly nonZeros: number;
  /** For each basis kernel, how many of its K*C coefficients are not zero. */
  readonly uses: readonly number[];
}

/** The coefficients [K, C*d] as pixels: one for each coefficient, or in large layers for a block of them. */
export interface SparsityPixels {
  readonly width: number;
  readonly height: number;
  /** Coefficients of a pixel, across and down. */
  readonly block: { readonly width: number; readonly height: number };
  /** Red, green, blue and alpha, transparent where all are zero. */
  readonly rgba: Uint8Array<ArrayBuffer>;
}

/** A layer on its basis with its coefficients [K, C, d]. */
export interface LayerOnBasis {
  readonly view: BasisView;
  readonly coefs: Float32Array;
}

/** Pixels of a map. */
const WIDEST = 480;
const HIGHEST = 256;

/** Colours that are told apart on light and on dark paper, and with every kind of colour vision. */
const POSITIVE = [37, 99, 190] as const;
const NEGATIVE = [222, 105, 20] as const;

/** All layers of a network that share basis kernels, in its order. */
export function layersOnBases(graph: Graph): readonly LayerOnBasis[] {
  return findDecompositions(graph).flatMap((layer) => {
    const [coefs, basis] = [layer.coefs, layer.basis].map((name) => graph.initializers.get(name));
    if (coefs === undefined || basis === undefined) return [];
    const values = float32Data(coefs);
    return [{ view: basisView(layer, values, float32Data(basis)), coefs: values }];
  });
}

function basisView(
  { K, C, R, S, d, groups, conv }: DecomposedLayer,
  coefs: Float32Array,
  basis: Float32Array,
): BasisView {
  const taps = R * S;
  const uses = new Array<number>(d).fill(0);
  for (const [at, value] of coefs.entries()) if (value !== 0) uses[at % d] = present(uses[at % d]) + 1;
  return {
    name: layerName(conv),
    ...{ K, C, R, S, d, groups },
    basis: Array.from({ length: d }, (_, b) => [...basis.subarray(b * taps, (b + 1) * taps)]),
    nonZeros: uses.reduce((sum, count) => sum + count, 0),
    uses,
  };
}

/** Which coefficients of a layer are not zero, and their signs. */
export function sparsityPixels({ view: { K, C, d }, coefs }: LayerOnBasis): SparsityPixels {
  const [rows, columns] = [K, C * d];
  const block = { width: Math.ceil(columns / WIDEST), height: Math.ceil(rows / HIGHEST) };
  const [width, height] = [Math.ceil(columns / block.width), Math.ceil(rows / block.height)];
  const [positive, negative] = [new Uint32Array(width * height), new Uint32Array(width * height)];
  for (const [at, value] of coefs.entries()) {
    const [row, column] = [Math.floor(at / columns), at % columns];
    const pixel = Math.floor(row / block.height) * width + Math.floor(column / block.width);
    if (value > 0) positive[pixel] = present(positive[pixel]) + 1;
    if (value < 0) negative[pixel] = present(negative[pixel]) + 1;
  }
  const rgba = new Uint8Array(4 * width * height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const [more, less] = [present(positive[pixel]), present(negative[pixel])];
    if (more + less === 0) continue;
    const share = more / (more + less);
    for (const [channel, high] of POSITIVE.entries())
      rgba[4 * pixel + channel] = Math.round(share * high + (1 - share) * present(NEGATIVE[channel]));
    rgba[4 * pixel + 3] = Math.round((255 * (more + less)) / blockSize(pixel));
  }
  return { width, height, block, rgba };

  /** Blocks at the edges have fewer coefficients. */
  function blockSize(pixel: number): number {
    const [x, y] = [(pixel % width) * block.width, Math.floor(pixel / width) * block.height];
    return Math.min(block.width, columns - x) * Math.min(block.height, rows - y);
  }
}
