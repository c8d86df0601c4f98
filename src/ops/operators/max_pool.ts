import { maxPoolChannels } from "../channels/pooling.js";
import { emitCompositeValue } from "../core/composite.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { unaryGradient } from "../families/elementwise.js";
import { pooledType } from "../families/pool.js";

/**
 * y = maximum of x [N, C, spatial...] over windows, and optionally the flat index of each (ONNX MaxPool, opset 8
 * and later). dx = dy at the first maximum of each window, as in PyTorch; where windows overlap, the sum.
 */
export const MaxPool: OpDefinition = {
  type: "MaxPool",
  cost: noProducts,
  onBlocks: true,
  elements: "picked",
  optionalOutputs: 1,
  shape: (context) => {
    const pooled = pooledType(context);
    return [pooled, { elementType: "int64", shape: pooled.shape }];
  },
  channels: maxPoolChannels,
  gradient: unaryGradient(({ b, node, x, y, dy }) => {
    const attributes = Object.fromEntries(node.attributes);
    return emitCompositeValue(b, "MaxPoolGradient", [dy, x, y], attributes);
  }),
};
