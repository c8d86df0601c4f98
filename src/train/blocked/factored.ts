import { at, dims4, outputOf } from "../../graph/at.js";
import { int } from "../../graph/attributes.js";
import { inputOrOmitted, inputsOf, outputOrOmitted } from "../../graph/operands.js";
import type { Node } from "../../graph/types.js";
import { factoredGeometry } from "../../ops/composites/factored_conv.js";
import { coefficientGradient } from "../../ops/composites/factored_conv_gradient.js";
import { compositeInputs } from "../../ops/core/composite.js";
import { gather, mul, reduceSum, reshape } from "../../ops/core/emit.js";
import { type ConvGeometry, unstridedPads } from "../../ops/families/conv_gradient.js";
import { windowOf } from "./conv_operands.js";
import { isWorthwhile, sharedFilter, sharedSwappedFilter } from "./convolution.js";
import { reversedTaps } from "./filters.js";
import type { Layouts } from "./layouts.js";
import { paddedColumns, swappedPadding, withoutExcess } from "./swapped_convolution.js";
import {
  type BlockedWeightGradient,
  blockedWeightGradients,
  chooseForm,
  productWithMaps,
} from "./weight_gradient.js";

/**
 * Decomposed convolutions in two stages, as the paper runs them: the d maps of every channel by depthwise convolutions
 * with the basis kernels, then products with the coefficients. The maps are made one basis kernel at a time, each
 * product adding to the one before, so that d maps of every channel never are in memory at once.
 */
interface Factors {
  /** [K, C, d] and [d, R·S]. */
  readonly coefs: string;
  readonly basis: string;
  readonly d: number;
  readonly geometry: ConvGeometry;
}

/** FactoredConv: y = Σ over b of coefs[.., b] · (x ⋆ basis[b]). */
export function factoredConvolution(layouts: Layouts, node: Node): boolean {
  const [x, coefs, basis] = inputsOf(node, 3);
  const bias = inputOrOmitted(node, 3);
  const y = outputOf(node, 0);
  const factors = factorsOf(layouts, node, { x, coefs, basis });
  if (factors === undefined) return false;
  const { d, geometry } = factors;
  let sum: string | undefined;
  for (let index = 0; index < d; index++) {
    const map = layouts.emit.sameKernel(layouts.blocked(x), basisFilter(layouts, factors, index), {
      ...windowOf(geometry),
      output: geometry.output,
    });
    const isLast = index === d - 1;
    sum = layouts.emit.conv({
      x: map,
      filter: coefficientFilter(layouts, factors, index),
      kernel: [1, 1],
      ...(isLast && bias !== "" ? { bias: layouts.emit.pad(layouts.plain(bias)) } : {}),
      ...(sum === undefined ? {} : { sum }),
      output: layouts.blockedDims(y),
    });
  }
  if (sum === undefined) return false;
  layouts.setBlocked(y, sum);
  return true;
}

/** FactoredConvGradient; dx and dbasis come from the gradients of the maps, coefs[.., b]ᵀ · dy. */
export function factoredConvolutionGradient(layouts: Layouts, node: Node): boolean {
  const [dy, x, coefs, basis] = compositeInputs(node, 4);
  const [dx, dCoefs, dBasis] = [outputOrOmitted(node, 0), outputOrOmitted(node, 1), outputOrOmitted(node, 2)];
  const factors = factorsOf(layouts, node, { x, coefs, basis });
  if (factors === undefined) return false;
  const form = chooseForm(layouts, factors.geometry, x);
  if (form === undefined) return false;
  if (dCoefs !== "") layouts.setPlain(dCoefs, coefsGradient(layouts, factors, form, { x, dy }));
  throughMaps(layouts, factors, { dy, x, dx, dBasis });
  return true;
}

/** Up to so many positions dy times the maps is faster than the weight's gradient times the basis. */
const SMALL_MAP = 16;

const isSmallMap = ({ output }: ConvGeometry): boolean => output[0] * output[1] <= SMALL_MAP;

/** dcoefs = Σ of dy times the maps, or the gradient of the weight times the basis. */
function coefsGradient(
  layouts: Layouts,
  factors: Factors,
  form: BlockedWeightGradient,
  { x, dy }: Readonly<Record<"x" | "dy", string>>,
): string {
  const { d, geometry, basis } = factors;
  if (form === "product" || isSmallMap(geometry)) {
    const filters = Array.from({ length: d }, (_, index) => basisFilter(layouts, factors, index));
    return productWithMaps(layouts, geometry, { x, dy, filters });
  }
  return coefficientGradient(layouts.b, blockedWeightGradients[form](layouts, geometry, x, dy), basis);
}

/** dx = Σ over b of dmap_b ⋆ reversed basis[b]; dbasis[b, r, s] = Σ of dmap_b · x shifted by the tap. */
function throughMaps(
  layouts: Layouts,
  factors: Factors,
  { dy, x, dx, dBasis }: Readonly<Record<"dy" | "x" | "dx" | "dBasis", string>>,
): void {
  if (dx === "" && dBasis === "") return;
  const { b } = layouts;
  const { d, geometry } = factors;
  const [batch, channels] = layouts.blockedDims(x);
  const sums: string[] = [];
  let sum: string | undefined;
  for (let index = 0; index < d; index++) {
    const map = layouts.emit.conv({
      x: layouts.blocked(dy),
      filter: swappedCoefficientFilter(layouts, factors, index),
      kernel: [1, 1],
      output: [batch, channels, ...geometry.output],
    });
    if (dBasis !== "") sums.push(tapSums(layouts, geometry, x, map));
    if (dx === "") continue;
    sum = layouts.emit.sameKernel(map, basisFilter(layouts, factors, index, "reversed"), {
      ...windowOf(geometry),
      pads: unstridedPads(geometry),
      output: geometry.input,
      ...(sum === undefined ? {} : { sum }),
    });
  }
  if (sum !== undefined) layouts.setBlocked(dx, sum);
  if (dBasis !== "") layouts.setPlain(dBasis, b.emit("Concat", sums, { attributes: { axis: int(0) } }));
}

/**
 * Σ over images, channels and positions of dmap · x shifted by each tap, [1, R·S]: every channel of every image of x
 * convolved with that of the map as its kernel.
 */
function tapSums(layouts: Layouts, geometry: ConvGeometry, x: string, map: string): string {
  const { b, block } = layouts;
  const { kernel, output, strides, dilations } = geometry;
  const padding = swappedPadding(geometry);
  const input = paddedColumns(layouts, x, padding.columns);
  const [batch, channels, height, width] = dims4(b.dims(input));
  const groups = batch * channels;
  const extent = [kernel[0] + padding.excess[0], kernel[1] + padding.excess[1]];
  const products = layouts.emit.conv({
    x: reshape(b, input, [1, groups, height, width]),
    filter: reshape(b, map, [groups, 1, ...output]),
    groups,
    kernel: output,
    strides: dilations,
    dilations: strides,
    pads: [padding.rows[0], 0, padding.rows[1], 0],
    output: [1, groups, ...extent],
  });
  const sums = reduceSum(b, reshape(b, products, [groups / block, ...extent, block]), [0, 3], false);
  const taps = withoutExcess(layouts, sums, geometry, 0);
  return reshape(b, taps, [1, kernel[0] * kernel[1]]);
}

function factorsOf(
  layouts: Layouts,
  node: Node,
  names: Readonly<Record<"x" | "coefs" | "basis", string>>,
): Factors | undefined {
  const geometry = factoredGeometry(node, layouts.dims(names.x), layouts.dims(names.coefs));
  const { inputChannels, outputChannels } = geometry;
  const isWhole = Math.min(inputChannels, outputChannels) >= layouts.block;
  if (!isWhole || !isWorthwhile(layouts, inputChannels, outputChannels)) return undefined;
  const d = at(layouts.dims(names.basis), 0);
  return { coefs: layouts.plain(names.coefs), basis: layouts.plain(names.basis), d, geometry };
}

/** Basis kernel number `index`, once for each channel of a block: [b, 1, R, S]. */
function basisFilter(
  layouts: Layouts,
  { basis, d, geometry: { kernel } }: Factors,
  index: number,
  order: "forward" | "reversed" = "forward",
): string {
  const { b, block } = layouts;
  const taps = kernel[0] * kernel[1];
  const repeated = layouts.once(`basis ${basis} ${order}`, () => {
    const kernels = order === "forward" ? basis : gather(b, basis, 1, reversedTaps(taps));
    return mul(b, reshape(b, kernels, [d, taps, 1]), layouts.fill(block, 1));
  });
  return layouts.once(`basis ${basis} ${order} ${index}`, () =>
    reshape(b, gather(b, repeated, 0, [index]), [block, 1, ...kernel]),
  );
}

/** The coefficients of basis kernel number `index` as the blocked filter of a 1x1 convolution from C to K. */
function coefficientFilter(layouts: Layouts, factors: Factors, index: number): string {
  const { outputs, inputs, weight } = coefficientWeight(layouts, factors);
  const blocks = reshape(layouts.b, sharedFilter(layouts, weight), [-1, factors.d, layouts.block ** 2]);
  return reshape(layouts.b, gather(layouts.b, blocks, 1, [index]), [outputs, inputs, 1, 1]);
}

/** The same from K to C. */
function swappedCoefficientFilter(layouts: Layouts, factors: Factors, index: number): string {
  const { b, block } = layouts;
  const { outputs, inputs, weight } = coefficientWeight(layouts, factors);
  const swapped = reshape(b, sharedSwappedFilter(layouts, weight), [-1, factors.d, block ** 2]);
  return reshape(b, gather(b, swapped, 1, [index]), [inputs, outputs, 1, 1]);
}

/** The coefficients as a weight whose taps are the basis kernels; its channels as whole blocks. */
function coefficientWeight(layouts: Layouts, { coefs, d, geometry }: Factors) {
  const { inputChannels, outputChannels } = geometry;
  const weight = layouts.once(`coefs ${coefs}`, () =>
    reshape(layouts.b, coefs, [outputChannels, inputChannels, d, 1]),
  );
  return {
    weight,
    outputs: layouts.padded(outputChannels),
    inputs: layouts.padded(inputChannels),
  };
}
