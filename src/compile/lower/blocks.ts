import { at, dims4, orDefault, present } from "../../graph/at.js";
import { intAttribute, stringAttribute } from "../../graph/attributes.js";
import { normalizeAxis } from "../../ops/core/arguments.js";
import { broadcastStrides } from "../../ops/core/broadcast.js";
import { stridesOf } from "../../ops/core/dims.js";
import { isInferenceDropout } from "../../ops/operators/dropout.js";
import { constant, select } from "../kernel_builder.js";
import { add, once } from "../kernels/functions.js";
import type { Lower } from "./definition.js";
import { checkTableLength, unsupported } from "./errors.js";
import { copyStrided, fill, mapViews, viewOf } from "./movement.js";

// Operators that repeat elements, or deal them to other axes.

export const lowerExpand: Lower = (context) => {
  const dims = context.outputDims();
  const from = { location: context.read(0), strides: broadcastStrides(context.inputDims(0), dims) };
  copyStrided(context, dims, from, viewOf(context.write(), dims));
};

/** Each axis as [repeats, size], over whose first part the input does not move. */
export const lowerTile: Lower = (context) => {
  const dims = context.inputDims(0);
  const output = context.outputDims();
  const strides = stridesOf(dims);
  const split = dims.flatMap((dim, axis) => [at(output, axis) / Math.max(1, dim), dim]);
  const from = { location: context.read(0), strides: strides.flatMap((stride) => [0, stride]) };
  copyStrided(context, split, from, viewOf(context.write(), split));
};

/** A view of row-major memory of shape `dims` with its axes in another order. */
function permuted(dims: readonly number[], order: readonly number[]): readonly (readonly [number, number])[] {
  const strides = stridesOf(dims);
  return order.map((axis) => [at(dims, axis), at(strides, axis)]);
}

export const lowerDepthToSpace: Lower = (context) => {
  const [batch, channels, height, width] = dims4(context.inputDims(0));
  const block = present(intAttribute(context.node, "blocksize"), "a block size");
  const depth = channels / block ** 2;
  const isColumnFirst = stringAttribute(context.node, "mode") === "CRD";
  const axes = isColumnFirst
    ? permuted([batch, depth, block, block, height, width], [0, 1, 4, 2, 5, 3])
    : permuted([batch, block, block, depth, height, width], [0, 3, 4, 1, 5, 2]);
  const dims = axes.map(([size]) => size);
  const from = { location: context.read(0), strides: axes.map(([, stride]) => stride) };
  copyStrided(context, dims, from, viewOf(context.write(), dims));
};

export const lowerSpaceToDepth: Lower = (context) => {
  const [batch, channels, height, width] = dims4(context.inputDims(0));
  const block = present(intAttribute(context.node, "blocksize"), "a block size");
  const axes = permuted([batch, channels, height / block, block, width / block, block], [0, 3, 5, 1, 2, 4]);
  const dims = axes.map(([size]) => size);
  const from = { location: context.read(0), strides: axes.map(([, stride]) => stride) };
  copyStrided(context, dims, from, viewOf(context.write(), dims));
};

/** values[1] where an index, counted from the end if negative, is that of the position, else values[0]. */
export const lowerOneHot: Lower = (context) => {
  const indices = context.inputDims(0);
  const dims = context.outputDims();
  const axis = normalizeAxis(context.node, orDefault(intAttribute(context.node, "axis"), -1), dims.length);
  const depth = at(dims, axis);
  checkTableLength(context, depth);
  const positions = context.weights(Float32Array.from({ length: depth }, (_, index) => index));
  const values = viewOf(context.read(2), [2]);
  const along = dims.map((_, index) => Number(index === axis));
  const still = dims.map(() => 0);
  mapViews(
    context,
    {
      name: "one_hot",
      dims,
      compute: (operands, k, lanes) => {
        const place = { k, lanes };
        const stated = once(place, at(operands, 0), "index");
        const [position, off, on] = [at(operands, 1), at(operands, 2), at(operands, 3)];
        const counted = select(stated, "less", constant(0), add(stated, constant(depth)), stated);
        return select(counted, "equal", position, on, off);
      },
    },
    [
      { location: context.read(0), strides: stridesOf(indices).toSpliced(axis, 0, 0) },
      { location: positions, strides: along },
      { location: values.location, strides: still },
      { ...viewOf(context.read(2), [2], [1]), strides: still },
    ],
    viewOf(context.write(), dims),
  );
};

/** Inference only: the input itself, and a mask of ones. */
export const lowerDropout: Lower = (context) => {
  if (!isInferenceDropout(context)) throw unsupported(context, "training_mode absent or false", "true");
  context.alias(context.read(0));
  if (!context.hasOutput(1)) return;
  const count = context.outputDims(1).reduce((product, dim) => product * dim, 1);
  fill(context, context.write(1), count, 1);
};
