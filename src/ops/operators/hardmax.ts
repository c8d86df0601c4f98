import { at } from "../../graph/at.js";
import { int, intAttributeOr } from "../../graph/attributes.js";
import { inputsOf } from "../../graph/operands.js";
import { normalizeAxis } from "../core/arguments.js";
import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";
import { noGradient } from "../families/elementwise.js";
import { softmaxChannels } from "../families/softmax_axes.js";

/** 1 at the first maximum along an axis, default -1, 0 elsewhere (ONNX Hardmax, opset 13 and later). */
export const Hardmax: OpDefinition = {
  type: "Hardmax",
  cost: noProducts,
  shape: sameTypeAsFirstInput,
  channels: softmaxChannels,
  gradient: noGradient,
  expand: (b, node) => {
    const [x] = inputsOf(node, 1);
    const dims = b.dims(x);
    const axis = normalizeAxis(node, intAttributeOr(node, "axis", -1), dims.length);
    const found = b.emit("ArgMax", [x], { attributes: { axis: int(axis), keepdims: int(0) } });
    const depth = b.axes([at(dims, axis)]);
    return [
      b.emit("OneHot", [found, depth, b.floats("off_on", [2], [0, 1])], { attributes: { axis: int(axis) } }),
    ];
  },
};
