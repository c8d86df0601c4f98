import { globalPoolChannels } from "../channels/pooling.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { unaryGradient } from "../families/elementwise.js";
import { globallyPooledType } from "../families/pool.js";
import { axesFrom, extremumGradient } from "../families/reduce.js";

/** y [N, C, 1, 1] = maximum of x [N, C, H, W] (ONNX GlobalMaxPool, opset 1 and later); ties share dy evenly. */
export const GlobalMaxPool: OpDefinition = {
  type: "GlobalMaxPool",
  cost: noProducts,
  elements: "picked",
  shape: (context) => [globallyPooledType(context)],
  channels: globalPoolChannels,
  gradient: unaryGradient(({ b, x, y, dy }) =>
    extremumGradient({ b, x, y, dy, axes: axesFrom(2, b.dims(x).length) }),
  ),
};
