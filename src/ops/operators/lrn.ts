import { at } from "../../graph/at.js";
import { floatAttributeOr, int, intAttribute, ints } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import { shapeError } from "../../graph/shape_error.js";
import type { Node } from "../../graph/types.js";
import { checkRank } from "../core/arguments.js";
import { wall } from "../core/channels.js";
import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";
import { add, div, mul, reshape, sub } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { unaryGradient } from "../families/elementwise.js";

/**
 * Local response normalization across channels (ONNX LRN, opset 1 and later): y = x / s^β with
 * s = k + α/n · Σ x² over the n channels around each one.
 * dx = dy / s^β - 2αβ/n · x · Σ dy·y / s over the channels in whose windows x lies.
 */
export const LRN: OpDefinition = {
  type: "LRN",
  cost: noProducts,
  channels: () => wall("it normalises each channel with its neighbours"),
  shape: (context) => {
    checkRank(context, 0, 2, Infinity);
    return sameTypeAsFirstInput(context);
  },
  gradient: unaryGradient(({ b, node, x, y, dy }) => {
    const { size, alpha, beta, bias } = lrnParameters(node);
    const window = lrnWindow(node, at(b.dims(x), 1));
    const mirrored = { before: window.after, after: window.before };
    const share = (window.before + 1 + window.after) / size;
    const sums = channelWindowMean(b, mul(b, x, x), window);
    const s = add(b, mul(b, sums, b.scalar(alpha * share)), b.scalar(bias));
    const direct = mul(b, dy, b.emit("Pow", [s, b.scalar(-beta)]));
    const shared = channelWindowMean(b, div(b, mul(b, dy, y), s), mirrored);
    return sub(b, direct, mul(b, mul(b, x, shared), b.scalar(2 * alpha * beta * share)));
  }),
};

export interface LrnParameters {
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly bias: number;
}

/** The attributes of an LRN node. */
export function lrnParameters(node: Node): LrnParameters {
  const size = intAttribute(node, "size");
  if (size === undefined || size < 1) {
    throw shapeError(node, 'attribute "size" is missing or not positive', "1 or more", `${size}`);
  }
  return {
    size,
    alpha: floatAttributeOr(node, "alpha", 1e-4),
    beta: floatAttributeOr(node, "beta", 0.75),
    bias: floatAttributeOr(node, "bias", 1),
  };
}

/** How many channels before and after each one count: those beyond all channels are zeros, however many they are. */
export function lrnWindow(node: Node, channels: number): { readonly before: number; readonly after: number } {
  const { size } = lrnParameters(node);
  const before = Math.floor((size - 1) / 2);
  const most = Math.max(0, channels - 1);
  return { before: Math.min(before, most), after: Math.min(size - 1 - before, most) };
}

/** Mean over the channels from `before` to `after` each one; those beyond the ends count as zeros. */
function channelWindowMean(
  b: Emitter,
  x: string,
  { before, after }: { readonly before: number; readonly after: number },
): string {
  const dims = b.dims(x);
  const [batch, channels] = firstOf(dims, 2);
  const rows = reshape(b, x, [batch, 1, channels, -1]);
  const means = b.emit("AveragePool", [rows], {
    attributes: {
      kernel_shape: ints([before + after + 1, 1]),
      pads: ints([before, 0, after, 0]),
      count_include_pad: int(1),
    },
  });
  return reshape(b, means, dims);
}
