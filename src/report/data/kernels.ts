import { at, present } from "../../graph/at.js";
import { float32Data } from "../../graph/tensor.js";
import type { Graph } from "../../graph/types.js";
import { type DecomposedLayer, findDecompositions } from "../../layers/weights.js";
import { layerName } from "../../method/inspect.js";

/** A layer on its basis, as it can be drawn. */
export interface KernelView extends Pick<DecomposedLayer, "K" | "C" | "R" | "S" | "d" | "groups"> {
  readonly name: string;
  /** d kernels of R*S values. */
  readonly basis: readonly (readonly number[])[];
  /** Coefficients that are not zero, of K*C*d. */
  readonly nonZeros: number;
  /** For each basis kernel, how many of its K*C coefficients are not zero. */
  readonly uses: readonly number[];
  readonly map: SparsityMap;
}

/** The coefficients [K, C*d] as a picture: a pixel is a coefficient, or of large layers a block of them. */
export interface SparsityMap {
  readonly width: number;
  readonly height: number;
  /** Coefficients of a pixel, across and down. */
  readonly block: { readonly width: number; readonly height: number };
  /** A PNG in base64, transparent where all are zero. */
  readonly png: string;
}

/** Pixels of a map. */
const WIDEST = 480;
const HIGHEST = 256;

/** Colours that are told apart on light and on dark paper, and with every kind of colour vision. */
const POSITIVE = [37, 99, 190] as const;
const NEGATIVE = [222, 105, 20] as const;

/** All layers of a network that share basis kernels, in its order. */
export async function kernelViews(graph: Graph): Promise<readonly KernelView[]> {
  const views: KernelView[] = [];
  for (const layer of findDecompositions(graph)) {
    const [coefs, basis] = [layer.coefs, layer.basis].map((name) => graph.initializers.get(name));
    if (coefs !== undefined && basis !== undefined)
      views.push(await kernelView(layer, float32Data(coefs), float32Data(basis)));
  }
  return views;
}

async function kernelView(
  layer: DecomposedLayer,
  coefs: Float32Array,
  basis: Float32Array,
): Promise<KernelView> {
  const { K, C, R, S, d, groups, conv } = layer;
  const taps = R * S;
  const uses = new Array<number>(d).fill(0);
  for (const [index, value] of coefs.entries())
    if (value !== 0) uses[index % d] = present(uses[index % d]) + 1;
  return {
    name: layerName(conv),
    ...{ K, C, R, S, d, groups },
    basis: Array.from({ length: d }, (_, b) => [...basis.subarray(b * taps, (b + 1) * taps)]),
    nonZeros: uses.reduce((sum, count) => sum + count, 0),
    uses,
    map: await sparsityMap(coefs, K, C * d),
  };
}

async function sparsityMap(coefs: Float32Array, rows: number, columns: number): Promise<SparsityMap> {
  const block = { width: Math.ceil(columns / WIDEST), height: Math.ceil(rows / HIGHEST) };
  const [width, height] = [Math.ceil(columns / block.width), Math.ceil(rows / block.height)];
  const [positive, negative] = [new Uint32Array(width * height), new Uint32Array(width * height)];
  for (const [index, value] of coefs.entries()) {
    const [row, column] = [Math.floor(index / columns), index % columns];
    const pixel = Math.floor(row / block.height) * width + Math.floor(column / block.width);
    if (value > 0) positive[pixel] = present(positive[pixel]) + 1;
    if (value < 0) negative[pixel] = present(negative[pixel]) + 1;
  }
  const pixels = Buffer.alloc(4 * width * height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const [more, less] = [at(positive, pixel), at(negative, pixel)];
    if (more + less === 0) continue;
    const share = more / (more + less);
    for (const [channel, high] of POSITIVE.entries())
      pixels[4 * pixel + channel] = Math.round(share * high + (1 - share) * at(NEGATIVE, channel));
    pixels[4 * pixel + 3] = Math.round((255 * (more + less)) / blockSize(pixel));
  }
  const { default: sharp } = await import("sharp");
  const png = await sharp(pixels, { raw: { width, height, channels: 4 } })
    .png({ compressionLevel: 9 })
    .toBuffer();
  return { width, height, block, png: png.toString("base64") };

  /** Blocks at the edges have fewer coefficients. */
  function blockSize(pixel: number): number {
    const [x, y] = [(pixel % width) * block.width, Math.floor(pixel / width) * block.height];
    return Math.min(block.width, columns - x) * Math.min(block.height, rows - y);
  }
}
