import { hasInput, present } from "../../graph/at.js";
import { ints } from "../../graph/attributes.js";
import { alongAxis } from "../../graph/select.js";
import { float32Data, float32Tensor, int64Tensor, numericTensor } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { optionalInput } from "../core/arguments.js";
import {
  type ChannelContext,
  type LaneEditor,
  type Wall,
  wall,
  withAttributes,
  withInputs,
} from "../core/channels.js";

/**
 * The node with new values for a list of integers that lives in input number `port` or, where that is absent,
 * in an attribute.
 */
export function withInts(
  context: ChannelContext,
  node: Node,
  edit: LaneEditor,
  { port, attribute, values }: { port: number; attribute: string; values: readonly number[] },
): Node {
  const name = optionalInput(node, port);
  if (name === undefined) return withAttributes(node, { [attribute]: ints(values) });
  const type = context.inputs[port]?.elementType ?? "int64";
  const tensor = numericTensor(type, [values.length], values);
  // ONNX knows no lists of other types; those that a file has become what ONNX knows.
  const isOwn = tensor !== undefined && context.initializer(port) !== undefined;
  const stored = isOwn
    ? edit.write(name, tensor)
    : edit.add(name, tensor ?? int64Tensor([values.length], values));
  return withInputs(node, new Map([[port, stored]]));
}

/** The bias of output k of a convolution: input 2, zeros where there is none; a wall where it is no constant. */
export function constantBias(context: ChannelContext): ((k: number) => number) | Wall {
  const tensor = context.initializer(2);
  if (!hasInput(context.node, 2)) return () => 0;
  if (tensor?.type !== "float32") return wall("its bias is not a float32 constant");
  const data = float32Data(tensor);
  return (k) => present(data[k]);
}

/** The bias of a layer: input 2 of its node. */
export interface LayerBias {
  readonly node: Node;
  /** Axis along which the outputs run; undefined where its elements are not the outputs' biases as they stand. */
  readonly axis: number | undefined;
}

/** The layer's node with these biases for the outputs that stay; without an input where it has none and needs none. */
export function withBias({ node, axis }: LayerBias, edit: LaneEditor, values: readonly number[]): Node {
  const name = optionalInput(node, 2);
  if (name === undefined && values.every((value) => value === 0)) return node;
  return withInputs(node, new Map([[2, storedBias(name, { node, axis }, edit, values)]]));
}

function storedBias(
  name: string | undefined,
  { node, axis }: LayerBias,
  edit: LaneEditor,
  values: readonly number[],
): string {
  if (name === undefined)
    return edit.add(`${node.outputs[0] ?? node.name}.bias`, float32Tensor([values.length], values));
  if (axis === undefined) return edit.write(name, float32Tensor([values.length], values));
  return edit.select(name, alongAxis(axis, edit.output(0)), (elements) => elements.set(values));
}
