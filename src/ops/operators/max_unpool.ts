import { at } from "../../graph/at.js";
import { requiredInts } from "../../graph/attributes.js";
import { shapeError } from "../../graph/shape_error.js";
import { listAttribute } from "../core/arguments.js";
import { wall } from "../core/channels.js";
import type { OpDefinition } from "../core/definition.js";
import { absent, noProducts } from "../core/definition.js";

/**
 * Scatters x [N, C, spatial...] to the flat positions `indices` of a zero tensor (ONNX MaxUnpool, opset 9 and
 * later). It appears in the gradient of MaxPool and has none itself.
 */
export const MaxUnpool: OpDefinition = {
  type: "MaxUnpool",
  gradient: absent("no rule is written: what lies before it is not trained"),
  cost: noProducts,
  notCompiled: absent("no loops are written for it"),
  channels: () => wall("its indices count across channels"),
  shape: ({ node, inputs: [x, , size], values: [, , shape] }) => {
    if (x === undefined) throw shapeError(node, "the type of the input is unknown");
    const { elementType } = x;
    if (size !== undefined) return [{ elementType, shape: shape?.elements }];
    if (x.shape === undefined) return [x];
    const [batch, channels, ...spatial] = x.shape;
    const kernel = requiredInts(node, "kernel_shape");
    if (kernel.length !== spatial.length) {
      throw shapeError(
        node,
        "the kernel does not fit the input",
        `${spatial.length} sizes`,
        `${kernel.length}`,
      );
    }
    const strides = listAttribute(node, "strides", spatial.length, 1);
    const pads = listAttribute(node, "pads", 2 * spatial.length, 0);
    const output = spatial.map((dim, axis) => {
      if (typeof dim !== "number") return undefined;
      const padding = at(pads, axis) + at(pads, spatial.length + axis);
      return (dim - 1) * at(strides, axis) + at(kernel, axis) - padding;
    });
    return [{ elementType, shape: [batch, channels, ...output] }];
  },
};
