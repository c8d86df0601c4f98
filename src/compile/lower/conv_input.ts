import { isDepthwise } from "../../layers/weights.js";
import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import {
  type PaddedLayout,
  type PaddedPlanes,
  paddedLayout,
  padKernel,
  sharesCacheSet,
} from "../kernels/pad.js";
import type { Location } from "../program.js";
import type { LoweringContext } from "./definition.js";
import { checkStride } from "./errors.js";

/** How one image of a convolution's input is made ready for kernels that know no borders. */
export interface Preparation {
  readonly layout: PaddedLayout;
  /** Borders that kernels which take plane after plane make themselves. */
  readonly padding?: PaddedPlanes;
  prepare(input: Location): Location;
}

/** So many outputs read an input plane often enough for a copy of it to pay. */
const MANY_READS = 16;

/** What makes an input ready for the kernels of its convolution. */
export function preparationOf(
  context: LoweringContext,
  geometry: ConvGeometry,
  input: Location,
): Preparation {
  return takesPlaneByPlane(context)
    ? planeByPlane(context, geometry, input)
    : allPlanes(context, geometry, input);
}

/** Whether each output plane is made of one input plane. */
export function takesPlaneByPlane(context: LoweringContext): boolean {
  return isDepthwise(context.node, { dims: context.inputDims(1) });
}

/** Whether kernels may read the input as it is. */
function isReady(context: LoweringContext, geometry: ConvGeometry, input: Location): boolean {
  // What the caller owns must not be read beyond its end, as a vector wider than a row would.
  const isOwn = input.buffer.kind === "value";
  const hasBorders = geometry.pads.some((pad) => pad !== 0);
  return !hasBorders && geometry.strides[1] === 1 && (isOwn || geometry.output[1] >= context.width);
}

function asItIs({ input: [height, width] }: ConvGeometry): Preparation {
  const layout = { segment: width, row: width, plane: height * width };
  return { layout, prepare: (ready) => ready };
}

/** Borders of the input, and strided columns set apart. */
function bordersOf(context: LoweringContext, geometry: ConvGeometry): PaddedPlanes {
  const [height, width] = geometry.input;
  const [top, left, bottom, right] = geometry.pads;
  const [, stride] = geometry.strides;
  checkStride(context, stride);
  return { channels: geometry.inputChannels, height, width, top, bottom, left, right, stride };
}

/** A plane that is read once is copied by the kernel that reads it, and stays in the nearest cache meanwhile. */
function planeByPlane(context: LoweringContext, geometry: ConvGeometry, input: Location): Preparation {
  const padding = bordersOf(context, geometry);
  if (isReady(context, geometry, input)) return asItIs(geometry);
  return { layout: paddedLayout(padding), padding, prepare: (image) => image };
}

/** Copies the input into planes with borders and with strided columns set apart, where there is anything to do. */
function allPlanes(context: LoweringContext, geometry: ConvGeometry, input: Location): Preparation {
  const planes = bordersOf(context, geometry);
  // A copy costs less than planes that drive each other out of the cache.
  const isCrowded = geometry.outputChannels >= MANY_READS && sharesCacheSet(planes.height * planes.width);
  if (isReady(context, geometry, input) && !isCrowded) return asItIs(geometry);
  const layout = paddedLayout(planes);
  const kernel = padKernel(planes, 0, context.width);
  const prepare = (image: Location): Location => {
    const location = context.scratch(geometry.inputChannels * layout.plane);
    context.call(kernel, [image, location]);
    return location;
  };
  return { layout, prepare };
}

/** Where the taps of a kernel lie in prepared planes. */
export function tapOffsets(geometry: ConvGeometry, layout: PaddedLayout): readonly number[] {
  const [rows, columns] = geometry.kernel;
  const [down, across] = geometry.dilations;
  const [, stride] = geometry.strides;
  return Array.from({ length: rows * columns }, (_, tap) => {
    const column = (tap % columns) * across;
    const segment = (column % stride) * layout.segment + Math.floor(column / stride);
    return Math.floor(tap / columns) * down * layout.row + segment;
  });
}
