import { dims4, present } from "../../graph/at.js";
import { intAttribute } from "../../graph/attributes.js";
import { spaceToDepthChannels } from "../channels/blocks.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { reshape, transpose } from "../core/emit.js";
import { depthSpaceType } from "../families/depth_space.js";

/**
 * Blocks of pixels become channels (ONNX SpaceToDepth, opset 1 and later): channel c of the pixel at (a, b) in its block
 * becomes channel (a, b, c). dx moves the elements back.
 */
export const SpaceToDepth: OpDefinition = {
  type: "SpaceToDepth",
  cost: noProducts,
  elements: "moved",
  channels: spaceToDepthChannels,
  shape: (context) => [depthSpaceType(context, "to-depth")],
  gradient: ({ builder: b, node, outputGradients: [dy], dims }) => {
    const [x] = node.inputs;
    if (dy === undefined || x === undefined) return [];
    const block = present(intAttribute(node, "blocksize"));
    const [batch, channels, height, width] = dims4(dims(x));
    const split = [batch, block, block, channels, height / block, width / block];
    return [reshape(b, transpose(b, reshape(b, dy, split), [0, 3, 4, 1, 5, 2]), dims(x))];
  },
};
