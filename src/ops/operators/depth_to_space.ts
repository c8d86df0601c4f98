import { dims4, present } from "../../graph/at.js";
import { intAttribute, stringAttribute } from "../../graph/attributes.js";
import { depthToSpaceChannels } from "../channels/blocks.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { reshape, transpose } from "../core/emit.js";
import { depthSpaceType } from "../families/depth_space.js";

/**
 * Blocks of channels become pixels (ONNX DepthToSpace, opset 1 and later): channel (a, b, c), or (c, a, b) in mode
 * "CRD", of a pixel becomes channel c of the pixel at (a, b) in its block. dx moves the elements back.
 */
export const DepthToSpace: OpDefinition = {
  type: "DepthToSpace",
  cost: noProducts,
  elements: "moved",
  channels: depthToSpaceChannels,
  shape: (context) => [depthSpaceType(context, "to-space")],
  gradient: ({ builder: b, node, outputGradients: [dy], dims }) => {
    const [x] = node.inputs;
    if (dy === undefined || x === undefined) return [];
    const block = present(intAttribute(node, "blocksize"));
    const [batch, channels, height, width] = dims4(dims(x));
    const blocks = reshape(b, dy, [batch, channels / block ** 2, height, block, width, block]);
    const isColumnFirst = stringAttribute(node, "mode") === "CRD";
    const rows = transpose(b, blocks, isColumnFirst ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4]);
    return [reshape(b, rows, dims(x))];
  },
};
