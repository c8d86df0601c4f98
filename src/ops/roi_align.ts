import { intAttribute } from "../graph/attributes.js";
import { requiredInput } from "./arguments.js";
import { laneWise } from "./channels/lanewise.js";
import type { OpDefinition } from "./definition.js";

/** Maps [N, C, H, W] sampled inside boxes [R, 4] -> [R, C, output_height, output_width] (ONNX RoiAlign, opset 10 and later). */
export const RoiAlign: OpDefinition = {
  type: "RoiAlign",
  shape: (context) => {
    const { node } = context;
    const { elementType, shape } = requiredInput(context, 0);
    const boxes = requiredInput(context, 1).shape;
    const size = ["output_height", "output_width"].map((name) => intAttribute(node, name) ?? 1);
    return [{ elementType, shape: [boxes?.[0], shape?.[1], ...size] }];
  },
  channels: laneWise(),
};
