import { intAttributeOr } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { alongAxesChannels } from "../channels/normalization.js";
import { normalizeAxis } from "../core/arguments.js";
import type { ChannelRule } from "../core/channels.js";
import type { GradientContext, GradientRule } from "../core/definition.js";
import type { Emitter } from "../core/emitter.js";
import { axesFrom } from "./reduce.js";

/**
 * The axes over which Softmax and LogSoftmax normalise: one axis (default -1) since opset 13; before, all
 * from `axis` (default 1) on, because the input was flattened to two dimensions.
 */
export function normalisedAxes(node: Node, opset: number, rank: number): readonly number[] {
  if (opset >= 13) return [normalizeAxis(node, intAttributeOr(node, "axis", -1), rank)];
  const axis = intAttributeOr(node, "axis", 1);
  return axesFrom(axis === rank ? rank : normalizeAxis(node, axis, rank), rank);
}

/** Lane by lane unless the channels are among the normalised axes. */
export const softmaxChannels: ChannelRule = alongAxesChannels(({ node, opset }, rank) =>
  normalisedAxes(node, opset, rank),
);

/** What the gradient of a softmax is written in. */
export interface SoftmaxParts {
  readonly b: Emitter;
  readonly y: string;
  readonly dy: string;
  readonly axes: readonly number[];
}

/** A gradient rule that knows the axes of the normalisation. */
export function softmaxGradient(gradient: (parts: SoftmaxParts) => string): GradientRule {
  return ({ builder: b, node, opset, outputGradients: [dy], dims }: GradientContext) => {
    const [y] = node.outputs;
    if (dy === undefined || y === undefined) return [];
    return [gradient({ b, y, dy, axes: normalisedAxes(node, opset, dims(y).length) })];
  };
}
