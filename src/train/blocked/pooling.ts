import { dims4, hasOutput, inputOf, outputOf } from "../../graph/at.js";
import { intAttribute } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { fullyKnown, intsArgument } from "../../ops/core/arguments.js";
import { compositeInputs } from "../../ops/core/composite.js";
import type { Layouts } from "./layouts.js";

/** MaxPool, AveragePool and GlobalAveragePool: the runtime has each of them for blocked images too. */
export function pooling(layouts: Layouts, node: Node): boolean {
  const x = inputOf(node, 0);
  if (!layouts.isBlocked(x) || hasOutput(node, 1)) return false;
  const y = outputOf(node, 0);
  const value = layouts.emit.operator(
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
  const [x] = compositeInputs(node, 1);
  const sum = outputOf(node, 0);
  if (!layouts.isBlocked(x)) return false;
  layouts.setPlain(sum, layouts.emit.channelSum(layouts.blocked(x), layouts.channels(x)));
  return true;
}

/** ReduceSum or ReduceMean over the space that keeps its axes. */
export function reduceSpace(layouts: Layouts, node: Node): boolean {
  const x = inputOf(node, 0);
  const y = outputOf(node, 0);
  if (!layouts.isBlocked(x) || intAttribute(node, "keepdims") === 0) return false;
  const axes = fullyKnown(intsArgument(layouts.context(node), 1, "axes"));
  if (axes?.map((axis) => (axis + 4) % 4).join() !== "2,3") return false;
  const [, , height, width] = dims4(layouts.dims(x));
  const mean = layouts.emit.operator("GlobalAveragePool", [layouts.blocked(x)], layouts.blockedDims(y));
  layouts.setBlocked(y, node.op === "ReduceMean" ? mean : layouts.emit.times(mean, height * width));
  return true;
}
