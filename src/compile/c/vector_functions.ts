import type { BinaryOp, Comparison, UnaryOp } from "../loops.js";

// The functions that kernels are written with in C. A vector of 8 floats is an array of parts as long as the machine's
// registers (single floats in the scalar form), and every function is a loop over the parts, which compilers unroll.

/** A function of the vector prelude. */
export type VectorFunction =
  | "v8_load"
  | "v8_held"
  | "v8_store"
  | "v8_store_first"
  | "v8_splat"
  | "v8_first"
  | "v8_multiply_add"
  | "multiply_add"
  | "pseudo_max"
  | "pseudo_min"
  | `v8_${BinaryName}`
  | `v8_${UnaryName}`
  | `v8_select_${ComparisonName}`
  | PartFunction;

export type BinaryName = "add" | "subtract" | "multiply" | "divide" | "pseudo_max" | "pseudo_min";
export type UnaryName =
  | "negate"
  | "absolute"
  | "square_root"
  | "floor"
  | "ceil"
  | "truncate"
  | "nearest"
  | "power_of_two"
  | "exponent"
  | "mantissa";
export type ComparisonName = "less" | "less_or_equal" | "equal" | "not_equal";
type PartFunction =
  | "bits_of"
  | "with_bits"
  | "choose"
  | "with_sign_of"
  | "part_nearest"
  | "part_ceil"
  | "part_floor";

export const binaryFunctions: Readonly<Record<BinaryOp, VectorFunction>> = {
  add: "v8_add",
  subtract: "v8_subtract",
  multiply: "v8_multiply",
  divide: "v8_divide",
  pseudoMax: "v8_pseudo_max",
  pseudoMin: "v8_pseudo_min",
};

export const unaryFunctions: Readonly<Record<UnaryOp, VectorFunction>> = {
  negate: "v8_negate",
  absolute: "v8_absolute",
  squareRoot: "v8_square_root",
  floor: "v8_floor",
  ceil: "v8_ceil",
  truncate: "v8_truncate",
  nearest: "v8_nearest",
  powerOfTwo: "v8_power_of_two",
  exponent: "v8_exponent",
  mantissa: "v8_mantissa",
};

export const selectFunctions: Readonly<Record<Comparison, VectorFunction>> = {
  less: "v8_select_less",
  lessOrEqual: "v8_select_less_or_equal",
  equal: "v8_select_equal",
  notEqual: "v8_select_not_equal",
};
