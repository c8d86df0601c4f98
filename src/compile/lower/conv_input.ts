import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import { type PaddedLayout, paddedLayout, padKernel, sharesCacheSet } from "../kernels/pad.js";
import type { Location } from "../program.js";
import type { LoweringContext } from "./definition.js";
import { checkStride } from "./errors.js";

/** How one image of a convolution's input is made ready for kernels that know no borders. */
export interface Preparation {
  readonly layout: PaddedLayout;
  prepare(input: Location): Location;
}

/** So many outputs read an input plane often enough for a copy of it to pay. */
const MANY_READS = 16;

/** Copies the input into planes with borders and with strided columns set apart, where there is anything to do. */
export function preparation(context: LoweringContext, geometry: ConvGeometry, input: Location): Preparation {
  const [height, width] = geometry.input;
  const [top, left, bottom, right] = geometry.pads;
  const [, stride] = geometry.strides;
  checkStride(context, stride);
  // What the caller owns must not be read beyond its end, as a vector wider than a row would.
  const isOwn = input.buffer.kind === "value";
  const isReady = [top, left, bottom, right].every((pad) => pad === 0) && stride === 1;
  // A copy costs less than planes that drive each other out of the cache.
  const isCrowded = geometry.outputChannels >= MANY_READS && sharesCacheSet(height * width);
  if (isReady && !isCrowded && (isOwn || geometry.output[1] >= context.width)) {
    const layout = { segment: width, row: width, plane: height * width };
    return { layout, prepare: (ready) => ready };
  }
  const planes = { channels: geometry.inputChannels, height, width, top, bottom, left, right, stride };
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
