import { floats, text } from "../../graph/attributes.js";
import type { Attribute } from "../../graph/types.js";

/** ONNX Runtime's own operators on the blocked layout; its CPU provider only. */
export const BLOCKED_DOMAIN = "com.microsoft.nchwc";

/** Its own operators on plain values. */
export const MICROSOFT_DOMAIN = "com.microsoft";

/** The versions of both, for graphs on the blocked layout. */
export const runtimeOpsets: readonly (readonly [string, number])[] = [
  [BLOCKED_DOMAIN, 1],
  [MICROSOFT_DOMAIN, 1],
];

/** Where a convolution reads; strides and dilations are 1 and pads 0 by default. */
export interface ConvWindow {
  readonly kernel: readonly number[];
  readonly strides?: readonly number[];
  readonly dilations?: readonly number[];
  readonly pads?: readonly number[];
}

/** A blocked convolution and what it does besides; all of it in the same pass over memory. */
export interface BlockedConv extends ConvWindow {
  readonly x: string;
  /** Arranged for the algorithm the runtime will choose: see `filters.ts`. */
  readonly filter: string;
  readonly bias?: string;
  readonly sum?: string;
  readonly groups?: number;
  /** Dimensions of the output; its channels a multiple of the block. */
  readonly output: readonly number[];
  readonly activation?: Activation;
}

/** What a convolution does last, elementwise. */
export type Activation =
  | { readonly op: "Relu" }
  | { readonly op: "LeakyRelu"; readonly alpha: number }
  | { readonly op: "Clip"; readonly low: number; readonly high: number };

export const RELU: Activation = { op: "Relu" };
export const CLIP_01: Activation = { op: "Clip", low: 0, high: 1 };
/** |x| */
export const ABSOLUTE: Activation = { op: "LeakyRelu", alpha: -1 };

function activationParameters(activation: Activation): readonly number[] {
  switch (activation.op) {
    case "Relu":
      return [];
    case "LeakyRelu":
      return [activation.alpha];
    case "Clip":
      return [activation.low, activation.high];
  }
}

export function activationAttributes(activation: Activation): Readonly<Record<string, Attribute>> {
  return {
    activation: text(activation.op),
    activation_params: floats(activationParameters(activation)),
  };
}
