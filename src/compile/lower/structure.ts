import { at } from "../../graph/at.js";
import { elementCount } from "../../graph/tensor.js";
import { stridesOf } from "../../ops/core/dims.js";
import { concatAxis } from "../../ops/operators/concat.js";
import { copyMaps, padMargins, padMode } from "../../ops/operators/pad.js";
import { sliceRanges } from "../../ops/operators/slice.js";
import { splitAxis } from "../../ops/operators/split.js";
import { permutation } from "../../ops/operators/transpose.js";
import { behind } from "../program_builder.js";
import { lowerAxisMaps } from "./axis_maps.js";
import type { Lower } from "./definition.js";
import { notConstant } from "./errors.js";
import { copyStrided, fill, flatPosition, viewOf } from "./movement.js";

// Operators that only move elements.

/** The same elements with other dimensions. */
export const lowerReshape: Lower = (context) => context.alias(context.read(0));

export const lowerTranspose: Lower = (context) => {
  const dims = context.inputDims(0);
  const strides = stridesOf(dims);
  const axes = permutation(context.node, dims.length);
  const from = { location: context.read(0), strides: axes.map((axis) => at(strides, axis)) };
  copyStrided(context, context.outputDims(), from, viewOf(context.write(), context.outputDims()));
};

export const lowerSlice: Lower = (context) => {
  const dims = context.inputDims(0);
  const ranges = sliceRanges(context, dims);
  if (ranges === undefined) throw notConstant(context, "starts, ends, axes and steps");
  const strides = stridesOf(dims);
  const start = flatPosition(
    dims,
    ranges.map((range) => range.start),
  );
  const location = behind(context.read(0), start);
  const isEven = ranges.every((range) => range.step === 1 || range.count === 1);
  if (isEven && isOneBlock(dims, context.outputDims())) return context.alias(location);
  const from = { location, strides: strides.map((stride, axis) => stride * at(ranges, axis).step) };
  copyStrided(context, context.outputDims(), from, viewOf(context.write(), context.outputDims()));
};

export const lowerSplit: Lower = (context) => {
  const dims = context.inputDims(0);
  const axis = splitAxis(context.node, dims.length);
  const input = context.read(0);
  let start = 0;
  context.node.outputs.forEach((name, index) => {
    if (name === "") return;
    const part = context.outputDims(index);
    const view = viewOf(
      input,
      dims,
      dims.map((_, other) => (other === axis ? start : 0)),
    );
    start += at(part, axis);
    if (isOneBlock(dims, part)) context.alias(view.location, index);
    else copyStrided(context, part, view, viewOf(context.write(index), part));
  });
};

/** Whether a part of an array, with these dimensions and steps of 1, lies in one piece. */
function isOneBlock(dims: readonly number[], part: readonly number[]): boolean {
  const first = part.findIndex((dim) => dim !== 1);
  return first < 0 || part.every((dim, axis) => axis <= first || dim === dims[axis]);
}

export const lowerConcat: Lower = (context) => {
  const dims = context.outputDims();
  const axis = concatAxis(context.node, dims.length);
  const output = context.write();
  let start = 0;
  context.node.inputs.forEach((_, index) => {
    const part = context.inputDims(index);
    const to = viewOf(
      output,
      dims,
      dims.map((_dim, other) => (other === axis ? start : 0)),
    );
    if (elementCount(part) > 0) copyStrided(context, part, viewOf(context.read(index), part), to);
    start += at(part, axis);
  });
};

/** Padding with a constant or with copies; negative pads crop. */
export const lowerPad: Lower = (context) => {
  const dims = context.inputDims(0);
  const margins = padMargins(context, dims.length);
  const value = context.hasInput(2) ? context.constantData(2)?.[0] : 0;
  const mode = padMode(context.node);
  if (margins === undefined || value === undefined) throw notConstant(context, "pads and value");
  if (mode !== "constant") {
    lowerAxisMaps(context, copyMaps(context.node, dims, margins, mode));
    return;
  }
  const { begins, ends } = margins;
  const outputDims = context.outputDims();
  const output = context.write();
  fill(context, output, elementCount(outputDims), value);
  const inner = dims.map((dim, axis) =>
    Math.max(0, dim + Math.min(0, at(begins, axis)) + Math.min(0, at(ends, axis))),
  );
  const from = viewOf(
    context.read(0),
    dims,
    begins.map((begin) => Math.max(0, -begin)),
  );
  const to = viewOf(
    output,
    outputDims,
    begins.map((begin) => Math.max(0, begin)),
  );
  copyStrided(context, inner, from, to);
};
