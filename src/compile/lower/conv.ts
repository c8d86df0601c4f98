import { PenniError } from "../../graph/errors.js";
import { elementCount } from "../../graph/tensor.js";
import { mergeFactors } from "../../layers/decomposition.js";
import { groupCount } from "../../layers/groups.js";
import { convGeometry } from "../../ops/families/conv_geometry.js";
import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import { fastestTime } from "../cost_model.js";
import type { TapConvolution } from "../kernels/dense_conv.js";
import { flattened, type PixelGrid } from "../kernels/pixel_blocks.js";
import type { Location } from "../program.js";
import { behind } from "../program_builder.js";
import { byWinograd } from "../winograd_cost.js";
import { type Preparation, preparationOf, takesPlaneByPlane, tapOffsets } from "./conv_input.js";
import {
  type Convolve,
  type ConvWeights,
  type CountedWeights,
  depthwiseConvolution,
  groupConvolution,
  workOf,
} from "./conv_kinds.js";
import type { ConvFactors, Lower, LoweringContext } from "./definition.js";
import { isInSteps, kernelsOfPart, slicePart } from "./dense_weights.js";
import { unsupported } from "./errors.js";
import { copyStrided, viewOf } from "./movement.js";
import { winogradConvolution } from "./winograd.js";

/** The weights of a convolution [K, C/groups, taps], and how it is to be computed. */
interface ConvPlan extends CountedWeights {
  readonly geometry: ConvGeometry;
}

/** Convolution over one or two axes with a constant weight, in the form that the cost model finds fastest. */
export const lowerConv: Lower = (context) => {
  const axes = context.inputDims(0).length - 2;
  if (axes > 2) throw unsupported(context, "one or two spatial axes", `${axes}`);
  const geometry = convGeometry(context.node, context.inputDims(0), context.inputDims(1));
  const weights =
    context.convFactors === undefined ? context.constantData(1) : kernelsOf(context.convFactors);
  const bias = context.hasInput(2) ? context.constantData(2) : new Float32Array(geometry.outputChannels);
  if (weights === undefined || bias === undefined) {
    throw new PenniError("unsupported", "the convolution's weight or bias is computed while the model runs", {
      node: context.node.name,
      op: context.node.op,
      expected: "constants",
    });
  }
  const whole: ConvWeights = { weights, bias, factors: context.convFactors };
  const plan: ConvPlan = { ...whole, geometry, work: workOf(whole, geometry.inputChannels) };
  const input = context.read(0);
  const output = context.write();
  const inputSize = geometry.inputChannels * geometry.input[0] * geometry.input[1];
  const outputSize = geometry.outputChannels * geometry.output[0] * geometry.output[1];
  const sides = context.sides.map((side) => wholeVectors(context, geometry, side));
  const { prepare, convolve } = byTiles(context, plan) ?? bySums(context, plan, input);
  for (let image = 0; image < geometry.batch; image++) {
    const planes = prepare(behind(input, image * inputSize));
    convolve(
      planes,
      [...sides, output].map((end) => behind(end, image * outputSize)),
    );
  }
};

/** What is made ready for all images at once. */
interface Method extends Pick<Preparation, "prepare"> {
  readonly convolve: Convolve;
}

/** Sums of products at every position. */
function bySums(context: LoweringContext, plan: ConvPlan, input: Location): Method {
  const preparation = preparationOf(context, plan.geometry, input);
  return { prepare: preparation.prepare, convolve: convolution(context, plan, preparation) };
}

/**
 * Of the time that a layer in 8 bits would take otherwise: Winograd's filtering has 20 kB of code for each size of layers,
 * of which compression leaves a third or more, and who stored coefficients so wants a small module.
 */
const SMALL_SHARE = 0.6;

/**
 * Winograd's filtering, which takes dense kernels, where it is faster than all else. Coefficients in 8 bits stay what they
 * are where kernels cannot be made of them when they are loaded, and where it would be hardly faster.
 */
function byTiles(context: LoweringContext, plan: ConvPlan): Method | undefined {
  const { geometry, weights, bias, factors, work } = plan;
  const tiled = byWinograd(geometry, context, context.preparesWeights);
  if (tiled === undefined) return undefined;
  const [rows, columns] = geometry.output;
  const others = rows * columns * fastestTime(work, context.rates);
  if (tiled.nanoseconds >= others) return undefined;
  const isSmall = factors !== undefined && isInSteps(factors.coefs, geometry.outputChannels);
  if (isSmall && !(context.preparesWeights && tiled.nanoseconds < SMALL_SHARE * others)) return undefined;
  // Integers stay integers in sums of products alone.
  if (weights.every(Number.isInteger)) return undefined;
  return winogradConvolution(context, tiled.division, { geometry, weights, bias, factors });
}

const kernelsOf = ({ coefs, basis, taps }: ConvFactors): Float32Array => mergeFactors(coefs, basis, taps);

/** A side that may be read vector by vector, copied if the caller owns it and its rows are narrower than that. */
function wholeVectors(context: LoweringContext, geometry: ConvGeometry, side: Location): Location {
  const { kind } = side.buffer;
  if ((kind !== "input" && kind !== "output") || geometry.output[1] >= context.width) return side;
  const dims = [geometry.batch * geometry.outputChannels * geometry.output[0] * geometry.output[1]];
  const copy = context.scratch(elementCount(dims));
  copyStrided(context, dims, viewOf(side, dims), viewOf(copy, dims));
  return copy;
}

function convolution(context: LoweringContext, plan: ConvPlan, { layout, padding }: Preparation): Convolve {
  const { geometry } = plan;
  const groups = groupCount(context.node);
  const [rows, columns] = geometry.output;
  const grid: PixelGrid = flattened({
    rows,
    columns,
    inputRow: layout.row * geometry.strides[0],
    outputRow: columns,
  });
  const conv: TapConvolution = {
    inputs: geometry.inputChannels / groups,
    outputs: geometry.outputChannels / groups,
    taps: tapOffsets(geometry, layout),
    inputPlane: layout.plane,
    outputPlane: rows * columns,
    grid,
    epilogue: context.epilogue,
  };
  if (takesPlaneByPlane(context)) return depthwiseConvolution(context, plan, conv, groups, padding);
  const parts = partsOf(plan, groups, conv.inputs).map((part) => groupConvolution(context, conv, part));
  return (input, ends) => {
    for (const [group, convolve] of parts.entries()) {
      const ownEnds = ends.map((end) => behind(end, group * conv.outputs * conv.outputPlane));
      convolve(behind(input, group * conv.inputs * conv.inputPlane), ownEnds);
    }
  };
}

/** @param inputs channels of a group */
function partsOf(plan: ConvPlan, groups: number, inputs: number): readonly CountedWeights[] {
  if (groups === 1) return [plan];
  return Array.from({ length: groups }, (_, group) => {
    const part: ConvWeights = {
      ...kernelsOfPart(plan, group, groups),
      bias: slicePart(plan.bias, group, groups),
    };
    return { ...part, work: workOf(part, inputs) };
  });
}
