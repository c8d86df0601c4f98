import { sameConstant } from "../channels/lanewise.js";
import { reductionChannels } from "../channels/pooling.js";
import { extremumGradient, ofNumbers, reduceOp } from "../families/reduce.js";

/** y = min x over axes (ONNX ReduceMin, opset 1 and later). */
export const ReduceMin = reduceOp("ReduceMin", {
  gradient: extremumGradient,
  channels: reductionChannels(sameConstant),
  apply: ofNumbers((numbers) => Math.min(...numbers)),
  facts: { elements: "picked" },
});
