import { sameConstant } from "../channels/lanewise.js";
import { reductionChannels } from "../channels/pooling.js";
import { reduceOp, spreadMean } from "../families/reduce.js";

/** y = mean of x over axes (ONNX ReduceMean, opset 1 and later). dx = dy / count. */
export const ReduceMean = reduceOp("ReduceMean", {
  gradient: ({ b, dy, count, dims }) => spreadMean(b, dy, count, dims),
  channels: reductionChannels(sameConstant),
  facts: { elements: "averaged", onBlocks: true, roundsIntegers: true },
});
