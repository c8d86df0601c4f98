import type { OpDefinition } from "./definition.js";
import { depthSpaceType } from "./depth_space.js";

/** Blocks of pixels become channels (ONNX SpaceToDepth, opset 1 and later). */
export const SpaceToDepth: OpDefinition = {
  type: "SpaceToDepth",
  shape: (context) => [depthSpaceType(context, "to-depth")],
};
