import { elementCount } from "../../graph/tensor.js";
import { globalPoolChannels } from "../channels/pooling.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { unaryGradient } from "../families/elementwise.js";
import { globallyPooledType } from "../families/pool.js";
import { spreadMean } from "../families/reduce.js";

/** y [N, C, 1, 1] = mean of x [N, C, H, W] (ONNX GlobalAveragePool, opset 1 and later). dx = dy / (H·W). */
export const GlobalAveragePool: OpDefinition = {
  type: "GlobalAveragePool",
  cost: noProducts,
  onBlocks: true,
  elements: "averaged",
  shape: (context) => [globallyPooledType(context)],
  channels: globalPoolChannels,
  gradient: unaryGradient(({ b, x, dy }) => {
    const dims = b.dims(x);
    return spreadMean(b, dy, elementCount(dims.slice(2)), dims);
  }),
};
