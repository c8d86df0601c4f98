import type { ConvGeometry } from "../../ops/families/conv_gradient.js";
import type { ConvWindow } from "./runtime_operators.js";

/** What a convolution reads, by name; the bias may be "". */
export interface ConvOperands {
  readonly x: string;
  readonly weight: string;
  readonly bias: string;
}

/** The part of a geometry that `BlockedEmitter.conv` takes. */
export function windowOf(geometry: ConvGeometry): ConvWindow {
  const { kernel, strides, dilations, pads } = geometry;
  return { kernel, strides, dilations, pads };
}
