import type { Node } from "../../graph/types.js";
import { compositeInputs } from "../../ops/composite.js";
import type { Layouts } from "./layouts.js";

/** MaxPool, AveragePool and GlobalAveragePool: the runtime has each of them for blocked images too. */
export function pooling(layouts: Layouts, node: Node): boolean {
  const [x = ""] = node.inputs;
  const [y = "", indices] = node.outputs;
  if (!layouts.isBlocked(x) || (indices !== undefined && indices !== "")) return false;
  const value = layouts.emit(
    node.op,
    [layouts.blocked(x)],
    layouts.blockedDims(y),
    Object.fromEntries(node.attributes),
  );
  layouts.setBlocked(y, value);
  return true;
}

/** ChannelSum of a blocked image. */
export function channelSum(layouts: Layouts, node: Node): boolean {
  const [x = ""] = compositeInputs(node, 1);
  const [sum = ""] = node.outputs;
  if (!layouts.isBlocked(x)) return false;
  layouts.setPlain(sum, layouts.channelSum(layouts.blocked(x), layouts.dims(x)[1] ?? 1));
  return true;
}
