import { intAttribute } from "../../graph/attributes.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import type { Dim, Shape, ValueType } from "../../graph/types.js";
import { requiredInput } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";

/** An [N, C, H, W] type with C multiplied and H, W divided by powers of the block size, or the reverse. */
export function depthSpaceType(context: NodeContext, direction: "to-space" | "to-depth"): ValueType {
  const { node } = context;
  const { elementType, shape } = requiredInput(context, 0);
  const block = intAttribute(node, "blocksize");
  if (block === undefined || block < 1) {
    throw shapeError(node, 'attribute "blocksize" is missing or not positive', "at least 1", `${block}`);
  }
  if (shape === undefined) return { elementType, shape: [undefined, undefined, undefined, undefined] };
  if (shape.length !== 4) throw shapeError(node, "wrong rank", "[N, C, H, W]", describeShape(shape));
  const [batch, channels, height, width] = shape;
  const scale = direction === "to-space" ? block : 1 / block;
  const scaled = (dim: Dim, factor: number): Dim => dimOfBlocks(context, shape, dim, factor);
  return {
    elementType,
    shape: [batch, scaled(channels, 1 / scale ** 2), scaled(height, scale), scaled(width, scale)],
  };
}

function dimOfBlocks({ node }: NodeContext, shape: Shape, dim: Dim, factor: number): Dim {
  if (typeof dim !== "number") return factor === 1 ? dim : undefined;
  const result = factor >= 1 ? dim * factor : dim / Math.round(1 / factor);
  if (Number.isInteger(result)) return result;
  throw shapeError(
    node,
    "a dimension is not divisible by the block size",
    "a multiple",
    describeShape(shape),
  );
}
