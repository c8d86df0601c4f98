import { inputOf, outputOf } from "../../graph/at.js";
import { float } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { type Bounds, boundsOf, STEEP, stepsWithin } from "../../ops/composites/clip_gradient.js";
import { slopeBelow } from "../../ops/composites/leaky_relu_gradient.js";
import { compositeInputs, floatType } from "../../ops/core/composite.js";
import { mul } from "../../ops/core/emit.js";
import { constantBounds } from "../../ops/operators/clip.js";
import { unary } from "./elementwise.js";
import type { Layouts } from "./layouts.js";
import { ABSOLUTE, type Activation, CLIP_01, MICROSOFT_DOMAIN, RELU } from "./runtime_operators.js";

/** Relu: part of the convolution before it where nothing else reads that. */
export function relu(layouts: Layouts, node: Node): boolean {
  return atConvolutionsEnd(layouts, node, RELU) || unary(layouts, node);
}

/** LeakyRelu, likewise. */
export function leakyRelu(layouts: Layouts, node: Node): boolean {
  return (
    atConvolutionsEnd(layouts, node, { op: "LeakyRelu", alpha: slopeBelow(node) }) || unary(layouts, node)
  );
}

/** Silu, as the runtime's own operator: a Sigmoid would be taken for that of the gradient, and kept until then. */
export function silu(layouts: Layouts, node: Node): boolean {
  const [x] = compositeInputs(node, 1);
  const y = outputOf(node, 0);
  if (!layouts.isBlocked(x)) return false;
  const { b } = layouts;
  const value = b.emit("QuickGelu", [layouts.blocked(x)], {
    domain: MICROSOFT_DOMAIN,
    attributes: { alpha: float(1) },
    types: [floatType(layouts.blockedDims(y))],
  });
  layouts.setBlocked(y, value);
  return true;
}

/** Clip with constant bounds on both sides of 0, likewise. */
export function clip(layouts: Layouts, node: Node): boolean {
  const bounds = constantBounds(node, (name) => layouts.b.constantTensor(name));
  if (bounds === undefined || !(bounds.low <= 0 && bounds.high >= 0)) return false;
  const x = inputOf(node, 0);
  const y = outputOf(node, 0);
  if (!layouts.isBlocked(x)) return false;
  if (atConvolutionsEnd(layouts, node, { op: "Clip", ...bounds })) return true;
  const [, ...limits] = node.inputs;
  layouts.setBlocked(y, layouts.b.emit("Clip", [layouts.blocked(x), ...limits]));
  return true;
}

function atConvolutionsEnd(layouts: Layouts, node: Node, activation: Activation): boolean {
  const x = inputOf(node, 0);
  const y = outputOf(node, 0);
  const conv = layouts.fusion.openConv(x);
  if (conv === undefined) return false;
  layouts.fusion.activate(conv, activation);
  layouts.setBlocked(y, layouts.blocked(x));
  return true;
}

/** dy where y lies within the bounds, else 0. */
export function clipGradient(layouts: Layouts, node: Node): boolean {
  return masked(layouts, node, (y, fill) => masksWithin(layouts, y, fill, boundsOf(node)));
}

/** dy times max(min(STEEP · y, 1), α). */
export function leakyReluGradient(layouts: Layouts, node: Node): boolean {
  const activation = { op: "Clip", low: slopeBelow(node), high: 1 } as const;
  return masked(layouts, node, (y, fill) => [layouts.emit.scale(y, fill(STEEP), { activation })]);
}

/** A constant vector over the channels. */
type Fill = (value: number) => string;

/** dx = dy times what is made of y. */
function masked(
  layouts: Layouts,
  node: Node,
  masksOf: (y: string, fill: Fill) => readonly string[],
): boolean {
  const [dy, y] = compositeInputs(node, 2);
  const dx = outputOf(node, 0);
  if (!layouts.isBlocked(y)) return false;
  const channels = layouts.channels(y);
  const masks = masksOf(layouts.blocked(y), (value) => layouts.fill(channels, value));
  layouts.setBlocked(
    dx,
    masks.reduce((value, mask) => mul(layouts.b, value, mask), layouts.blocked(dy)),
  );
  return true;
}

/** Images whose product is 1 where y lies within the bounds, else 0; each is one pass with the depthwise convolution. */
function masksWithin(layouts: Layouts, y: string, fill: Fill, bounds: Bounds): readonly string[] {
  const [middle, half] = [(bounds.low + bounds.high) / 2, (bounds.high - bounds.low) / 2];
  if (Number.isFinite(middle) && [middle, half].every((value) => Math.fround(value) === value)) {
    // |y - middle| < half, which is one pass less than a mask for each bound and a product.
    const distance = layouts.emit.scale(y, fill(1), { bias: fill(-middle), activation: ABSOLUTE });
    return [layouts.emit.scale(distance, fill(-STEEP), { bias: fill(STEEP * half), activation: CLIP_01 })];
  }
  return stepsWithin(bounds).map(({ alpha, beta }) =>
    layouts.emit.scale(y, fill(alpha), { ...(beta === 0 ? {} : { bias: fill(beta) }), activation: CLIP_01 }),
  );
}
