import { at, orDefault, present } from "../../graph/at.js";
import { int } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import { floatType } from "../../ops/core/composite.js";
import { crop, matMul, reshape, transpose } from "../../ops/core/emit.js";
import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import { paddedShape, padWeight } from "./filters.js";
import type { Layouts } from "./layouts.js";
import { MICROSOFT_DOMAIN } from "./runtime_operators.js";

type Matrix = readonly (readonly number[])[];

/**
 * Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray 2016, section 4.1): y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A makes
 * 2x2 outputs from a 4x4 tile d of the input with 16 products in place of 36. Summed over channels, each of the 16
 * places of a tile is a matrix product of its own.
 */
const INPUT: Matrix = [
  [1, 0, -1, 0],
  [0, 1, 1, 0],
  [0, -1, 1, 0],
  [0, 1, 0, -1],
];
const FILTER: Matrix = [
  [1, 0, 0],
  [0.5, 0.5, 0.5],
  [0.5, -0.5, 0.5],
  [0, 0, 1],
];
const OUTPUT: Matrix = [
  [1, 1, 1, 0],
  [0, 1, -1, -1],
];
const TILE = 4;
const STEP = 2;
const PLACES = TILE * TILE;
const TAPS = 9;

/** The rows of G that transform a kernel as if its taps were reversed: to reverse G's columns is to exchange these two. */
const REVERSED: readonly number[] = [3, 1, 2, 0];
const IN_ORDER: readonly number[] = [0, 1, 2, 3];

/** The products saved must be so many times those of the transforms, whose matrices are narrow (`bench/winograd.ts`). */
const TRANSFORM_COST = 3.5;

/**
 * Whether F(2x2, 3x3) applies to a convolution and is faster than the runtime's direct one.
 * @param block channels of a block
 */
export function isWinograd(block: number, geometry: ConvGeometry): boolean {
  const { kernel, strides, dilations, pads, inputChannels, outputChannels, groups } = geometry;
  const isApplicable =
    groups === 1 &&
    kernel.every((size) => size === 3) &&
    [...strides, ...dilations, ...pads].every((value) => value === 1) &&
    Math.min(inputChannels, outputChannels) >= block;
  return isApplicable && tiledProducts(geometry) <= TAPS;
}

/**
 * What a convolution costs in the form that is taken for it, in products per position and pair of channels. On maps of
 * one tile what is done to the weights costs as much as the products save.
 */
export function productsPerPosition(block: number, geometry: ConvGeometry): number {
  const { kernel, input } = geometry;
  if (tilesOf(input) === 1 || !isWinograd(block, geometry)) return kernel[0] * kernel[1];
  return tiledProducts(geometry);
}

/** Products per position and pair of channels of F(2x2, 3x3), the transforms' among them. */
function tiledProducts({ input, inputChannels, outputChannels }: ConvGeometry): number {
  const positions = input[0] * input[1];
  const transforms = (TRANSFORM_COST * positions * (inputChannels + outputChannels)) / inputChannels;
  return ((PLACES * tilesOf(input)) / positions) * (1 + transforms / outputChannels);
}

/** y of x * w, blocked. */
export function winogradConvolution(
  layouts: Layouts,
  geometry: ConvGeometry,
  { x, weight }: { readonly x: string; readonly weight: string },
): string {
  const kernels = transformedKernels(layouts, weight, IN_ORDER);
  const products = batchProduct(layouts, inputTiles(layouts, x), kernels, "transB");
  return fromOutputTiles(layouts, products, geometry.input);
}

/** dx of dy and w, blocked: dy convolved with the kernels whose channels are swapped and whose taps are reversed. */
export function winogradInputGradient(
  layouts: Layouts,
  geometry: ConvGeometry,
  { dy, weight }: { readonly dy: string; readonly weight: string },
): string {
  const kernels = transformedKernels(layouts, weight, REVERSED);
  return fromOutputTiles(layouts, matMul(layouts.b, inputTiles(layouts, dy), kernels), geometry.input);
}

/** dw [K, C, 3, 3] (plain) from x and dy: every step of the forward pass transposed. */
export function winogradWeightGradient(
  layouts: Layouts,
  geometry: ConvGeometry,
  { x, dy }: { readonly x: string; readonly dy: string },
): string {
  const { b } = layouts;
  const products = batchProduct(layouts, gradientTiles(layouts, dy), inputTiles(layouts, x), "transA");
  const [, outputs, inputs] = firstOf(b.dims(products), 3);
  const columns = [reshape(b, products, [PLACES, outputs * inputs]), kernelTransform(layouts, IN_ORDER)];
  const kernels = b.emit("Gemm", columns, { attributes: { transA: int(1) } });
  const { outputChannels, inputChannels } = geometry;
  return crop(b, reshape(b, kernels, [outputs, inputs, 3, 3]), [
    { axis: 0, end: outputChannels },
    { axis: 1, end: inputChannels },
  ]);
}

/** G g Gᵀ of all kernels, [16, K, C], with their taps in order or reversed. */
function transformedKernels(layouts: Layouts, weight: string, order: readonly number[]): string {
  const { b } = layouts;
  const shape = paddedShape(layouts, weight);
  const kernels = reshape(b, padWeight(layouts, layouts.plain(weight), shape), [-1, TAPS]);
  const values = b.emit("Gemm", [kernelTransform(layouts, order), kernels], {
    attributes: { transB: int(1) },
  });
  return reshape(b, values, [PLACES, shape.outputs, shape.inputs]);
}

/** G ⊗ G with G's rows in the given order: [16, 9]. */
function kernelTransform(layouts: Layouts, order: readonly number[]): string {
  const rows = order.map((row) => at(FILTER, row));
  const matrix = rows.flatMap((left) =>
    rows.map((right) => left.flatMap((first) => right.map((second) => first * second))),
  );
  return constant(layouts, `kernels ${order.join()}`, matrix);
}

/** Bᵀ d B of every tile of a blocked image [N, C, H, W]: [16, tiles · N, C]. */
function inputTiles(layouts: Layouts, name: string): string {
  return transformed(layouts, name, "input", inputMatrix);
}

/** A dy Aᵀ of every tile of a blocked image: [16, tiles · N, K]. */
function gradientTiles(layouts: Layouts, name: string): string {
  return transformed(layouts, name, "gradient", outputMatrix);
}

function transformed(
  layouts: Layouts,
  name: string,
  transform: string,
  matrixOf: (map: MapSize) => Matrix,
): string {
  const { b } = layouts;
  const [batch, channels, height, width] = layouts.blockedDims(name);
  const map = [height, width] as const;
  const matrix = constant(layouts, `${transform} ${map.join()}`, matrixOf(map));
  const tiles = matMul(b, matrix, positionsFirst(layouts, name));
  return reshape(b, tiles, [PLACES, tilesOf(map) * batch, channels]);
}

/** Aᵀ m A of the products [16, tiles · N, K], as a blocked image. */
function fromOutputTiles(layouts: Layouts, products: string, map: MapSize): string {
  const { b, block } = layouts;
  const tiles = tilesOf(map);
  const [, rows, channels] = firstOf(b.dims(products), 3);
  const batch = rows / tiles;
  const matrix = constant(layouts, `output ${map.join()}`, transposed(outputMatrix(map)));
  const values = matMul(b, matrix, reshape(b, products, [PLACES * tiles, batch * channels]));
  const byBlock = reshape(b, values, [map[0] * map[1], batch, channels / block, block]);
  return reshape(b, transpose(b, byBlock, [1, 2, 0, 3]), [batch, channels, ...map]);
}

/** A blocked image [N, C/b, H, W, b] as [H · W, N · C]. */
function positionsFirst(layouts: Layouts, name: string): string {
  const { b, block } = layouts;
  return layouts.once(`winograd positions ${name}`, () => {
    const [batch, channels, height, width] = layouts.blockedDims(name);
    const dims = [batch, channels / block, height * width, block];
    const first = transpose(b, reshape(b, layouts.blocked(name), dims), [2, 0, 1, 3]);
    return reshape(b, first, [height * width, batch * channels]);
  });
}

/** Matrix products of two stacks, one of them transposed. */
function batchProduct({ b }: Layouts, left: string, right: string, side: "transA" | "transB"): string {
  const [, leftRows, leftColumns] = firstOf(b.dims(left), 3);
  const [, rightRows, rightColumns] = firstOf(b.dims(right), 3);
  const shape = side === "transA" ? [leftColumns, rightColumns] : [leftRows, rightRows];
  return b.emit("FusedMatMul", [left, right], {
    domain: MICROSOFT_DOMAIN,
    attributes: { [side]: int(1) },
    types: [floatType([PLACES, ...shape])],
  });
}

type MapSize = readonly [height: number, width: number];

/** Tiles of 2x2 outputs that cover a map; of odd maps the last ones reach beyond the edge, where nothing is. */
function tilesOf(map: MapSize): number {
  return map.map((size) => Math.ceil(size / STEP)).reduce((product, count) => product * count, 1);
}

// Positions outside of a tile have no share in it.
const inputMatrix = (map: MapSize): Matrix =>
  tileMatrix(map, (place, offset) => orDefault(at(INPUT, place)[offset + 1], 0));

const outputMatrix = (map: MapSize): Matrix =>
  tileMatrix(map, (place, offset) => orDefault(OUTPUT[offset]?.[place], 0));

/**
 * A transform of all tiles of a map as a matrix [16 · tiles, H · W].
 * @param weight of a place of the tile, along one axis, for the position at this offset from the tile's first output
 */
function tileMatrix([height, width]: MapSize, weight: (place: number, offset: number) => number): Matrix {
  const along = (size: number, place: number): Matrix =>
    Array.from({ length: Math.ceil(size / STEP) }, (_, tile) =>
      Array.from({ length: size }, (__, position) => weight(place, position - STEP * tile)),
    );
  const places = Array.from({ length: TILE }, (_, place) => place);
  return places.flatMap((down) =>
    places.flatMap((across) =>
      along(height, down).flatMap((rows) =>
        along(width, across).map((columns) => rows.flatMap((row) => columns.map((column) => row * column))),
      ),
    ),
  );
}

function transposed(matrix: Matrix): Matrix {
  return at(matrix, 0).map((_, column) => matrix.map((row) => present(row[column])));
}

function constant(layouts: Layouts, key: string, matrix: Matrix): string {
  return layouts.once(`winograd matrix ${key}`, () =>
    layouts.b.floats("winograd", [matrix.length, at(matrix, 0).length], matrix.flat()),
  );
}
