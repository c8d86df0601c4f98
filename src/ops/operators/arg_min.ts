import { inputOf } from "../../graph/at.js";

import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { neg } from "../core/emit.js";
import { ArgMax } from "./arg_max.js";

/** int64 index of the minimum along one axis, default 0 (ONNX ArgMin, opset 1 and later). */
export const ArgMin: OpDefinition = {
  ...ArgMax,
  type: "ArgMin",
  cost: noProducts,
  expand: (b, node) => [
    b.emit("ArgMax", [neg(b, inputOf(node, 0))], { attributes: Object.fromEntries(node.attributes) }),
  ],
};
