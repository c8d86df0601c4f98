import type { OpDefinition } from "./definition.js";
import { depthSpaceType } from "./depth_space.js";

/** Blocks of channels become pixels (ONNX DepthToSpace, opset 1 and later). */
export const DepthToSpace: OpDefinition = {
  type: "DepthToSpace",
  shape: (context) => [depthSpaceType(context, "to-space")],
};
