import { orDefault } from "../../graph/at.js";
import { float, int, ints } from "../../graph/attributes.js";
import type { Emitter } from "./emitter.js";

/** Emitters for operators whose form depends on the operator set version, and for frequent idioms. */

/** ReduceSum: axes are an attribute up to opset 12, an input from 13. */
export function reduceSum(b: Emitter, x: string, axes: readonly number[], keepdims: boolean): string {
  const keep = { keepdims: int(keepdims ? 1 : 0) };
  if (b.opset >= 13) return b.emit("ReduceSum", [x, b.axes(axes)], { attributes: keep });
  return b.emit("ReduceSum", [x], { attributes: { ...keep, axes: ints(axes) } });
}

/** ReduceMean: axes are an attribute up to opset 17, an input from 18. */
export function reduceMean(b: Emitter, x: string, axes: readonly number[], keepdims: boolean): string {
  const keep = { keepdims: int(keepdims ? 1 : 0) };
  if (b.opset >= 18) return b.emit("ReduceMean", [x, b.axes(axes)], { attributes: keep });
  return b.emit("ReduceMean", [x], { attributes: { ...keep, axes: ints(axes) } });
}

export function reshape(b: Emitter, x: string, dims: readonly number[]): string {
  return b.emit("Reshape", [x, b.axes(dims)]);
}

export function transpose(b: Emitter, x: string, perm: readonly number[]): string {
  return b.emit("Transpose", [x], { attributes: { perm: ints(perm) } });
}

export interface SliceRange {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step?: number;
}

/** Slice with constant ranges; Infinity and -Infinity mean "to the end" in the step's direction. */
export function slice(b: Emitter, x: string, ranges: readonly SliceRange[]): string {
  return b.emit("Slice", [
    x,
    b.axes(ranges.map((range) => range.start)),
    b.axes(ranges.map((range) => range.end)),
    b.axes(ranges.map((range) => range.axis)),
    b.axes(ranges.map((range) => orDefault(range.step, 1))),
  ]);
}

/** The first `end` elements along each axis given; x itself where it has no more. */
export function crop(
  b: Emitter,
  x: string,
  ends: readonly { readonly axis: number; readonly end: number }[],
): string {
  const dims = b.dims(x);
  const cut = ends.filter(({ axis, end }) => dims[axis] !== end);
  if (cut.length === 0) return x;
  return slice(
    b,
    x,
    cut.map((range) => ({ ...range, start: 0 })),
  );
}

/** Gather with constant indices along one axis. */
export function gather(b: Emitter, x: string, axis: number, indices: readonly number[]): string {
  return b.emit("Gather", [x, b.axes(indices)], { attributes: { axis: int(axis) } });
}

/** Zero padding with ONNX's order of pads: all begins, then all ends. */
export function zeroPad(b: Emitter, x: string, pads: readonly number[]): string {
  return b.emit("Pad", [x, b.axes(pads)]);
}

export const add = (b: Emitter, x: string, y: string): string => broadcasting(b, "Add", x, y);
export const sub = (b: Emitter, x: string, y: string): string => broadcasting(b, "Sub", x, y);
export const mul = (b: Emitter, x: string, y: string): string => broadcasting(b, "Mul", x, y);
export const div = (b: Emitter, x: string, y: string): string => broadcasting(b, "Div", x, y);
export const neg = (b: Emitter, x: string): string => b.emit("Neg", [x]);
export const matMul = (b: Emitter, x: string, y: string): string => b.emit("MatMul", [x, y]);

function broadcasting(b: Emitter, op: string, x: string, y: string): string {
  return b.emit(op, [ofFullRank(b, x, y), ofFullRank(b, y, x)]);
}

/**
 * A single number, given as many axes as `other` has where that ends in an axis of 1: for [K, C, 1, 1] and [] ONNX Runtime
 * 1.30 takes one element at a time, 30 to 60 times as long as for [K, C, 1, 1] and [1, 1, 1, 1]. Anything else as it is.
 */
function ofFullRank(b: Emitter, name: string, other: string): string {
  const [dims, others] = [b.types.get(name)?.shape, b.types.get(other)?.shape];
  if (dims === undefined || others === undefined) return name;
  const isNumber = dims.every((dim) => dim === 1) && dims.length < others.length;
  return isNumber && others.at(-1) === 1
    ? reshape(
        b,
        name,
        others.map(() => 1),
      )
    : name;
}

export interface GemmOptions {
  readonly alpha?: number;
  readonly transA?: boolean;
  readonly transB?: boolean;
}

/** Emits alpha·op(A)·op(B). */
export function gemm(b: Emitter, left: string, right: string, options: GemmOptions = {}): string {
  const { alpha = 1, transA = false, transB = false } = options;
  return b.emit("Gemm", [left, right], {
    attributes: {
      alpha: alpha === 1 ? undefined : float(alpha),
      transA: transA ? int(1) : undefined,
      transB: transB ? int(1) : undefined,
    },
  });
}
