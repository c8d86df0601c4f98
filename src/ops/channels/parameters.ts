import { ints } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { numericTensor } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { type ChannelContext, type LaneEditor, withAttributes, withInputs } from "../channels.js";

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
  const name = node.inputs[port] ?? "";
  if (name === "") return withAttributes(node, { [attribute]: ints(values) });
  const type = context.inputs[port]?.elementType ?? "int64";
  const tensor = numericTensor(type, [values.length], values);
  if (tensor === undefined) {
    throw new PenniError("internal", `input ${port} cannot be rewritten`, {
      node: node.name,
      op: node.op,
      found: type,
    });
  }
  const stored = context.initializer(port) === undefined ? edit.add(name, tensor) : edit.write(name, tensor);
  return withInputs(node, new Map([[port, stored]]));
}
