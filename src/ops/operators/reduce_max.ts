import { sameConstant } from "../channels/lanewise.js";
import { reductionChannels } from "../channels/pooling.js";
import { extremumGradient, ofNumbers, reduceOp } from "../families/reduce.js";

/** y = max x over axes (ONNX ReduceMax, opset 1 and later). */
export const ReduceMax = reduceOp("ReduceMax", {
  gradient: extremumGradient,
  channels: reductionChannels(sameConstant),
  apply: ofNumbers((numbers) => Math.max(...numbers)),
  facts: { elements: "picked" },
});
