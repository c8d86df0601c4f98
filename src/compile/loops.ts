/**
 * The loop language that kernels are written in and every back end prints: counted loops over typed memory, with
 * 32-bit integers for positions and float32 values that are single numbers or vectors.
 */

/** Whether a value is one number or a vector of as many as the target's registers hold. */
export type Lanes = "scalar" | "vector";

/** What a kernel's parameter points at. */
export type PointerType = "f32" | "u16" | "i32";

export interface Pointer {
  readonly name: string;
  readonly type: PointerType;
  /** Whether the kernel stores through it. */
  readonly written: boolean;
}

/** A 32-bit integer: a counter, or a position in elements. */
export type Index =
  | number
  | { readonly kind: "variable"; readonly name: string }
  | { readonly kind: "add" | "multiply"; readonly left: Index; readonly right: Index }
  /** An entry of a table of integers. */
  | { readonly kind: "entry"; readonly pointer: string; readonly position: Index }
  /** A single number that was computed, from 0 to 2^24, without its fraction. */
  | { readonly kind: "fromValue"; readonly value: Value };

/** Comparisons are false where an operand is NaN, except `notEqual`. */
export type Comparison = "less" | "lessOrEqual" | "equal" | "notEqual";

export type UnaryOp =
  | "negate"
  | "absolute"
  | "squareRoot"
  | "floor"
  | "ceil"
  | "truncate"
  /** To the nearest integer, halves to even. */
  | "nearest"
  /** 2^x for an integral x from -126 to 127; infinite for 128. Of NaN any number. */
  | "powerOfTwo"
  /** The exponent e of x = m * 2^e with 1 <= m < 2, for normal x > 0. */
  | "exponent"
  /** The m of x = m * 2^e with 1 <= m < 2, for normal x > 0. */
  | "mantissa";

/** `pseudoMax(a, b)` is a < b ? b : a, `pseudoMin(a, b)` is b < a ? b : a: one instruction each on most machines. */
export type BinaryOp = "add" | "subtract" | "multiply" | "divide" | "pseudoMax" | "pseudoMin";

/** A float32 value with the lanes of the statement it stands in. */
export type Value =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "variable"; readonly name: string }
  /** One element, or a vector of consecutive ones; no alignment beyond that of a single element. */
  | { readonly kind: "load"; readonly pointer: string; readonly position: Index }
  /** One element in every lane. */
  | { readonly kind: "broadcast"; readonly pointer: string; readonly position: Index }
  /** An integer in every lane, as float32. */
  | { readonly kind: "fromIndex"; readonly index: Index }
  | { readonly kind: "unary"; readonly op: UnaryOp; readonly operand: Value }
  | { readonly kind: "binary"; readonly op: BinaryOp; readonly left: Value; readonly right: Value }
  /** left * right + addend, rounded once or twice as the target likes. */
  | { readonly kind: "multiplyAdd"; readonly left: Value; readonly right: Value; readonly addend: Value }
  /** Lane by lane `chosen` where left compares to right, else `other`. */
  | {
      readonly kind: "select";
      readonly comparison: Comparison;
      readonly left: Value;
      readonly right: Value;
      readonly chosen: Value;
      readonly other: Value;
    };

export type Statement =
  /** from, from + step, ... below to; from and to are evaluated once. */
  | {
      readonly kind: "loop";
      readonly variable: string;
      readonly from: Index;
      readonly to: Index;
      readonly step: number;
      readonly body: readonly Statement[];
    }
  /** Defines an integer variable or gives it a new value. */
  | { readonly kind: "setIndex"; readonly variable: string; readonly value: Index }
  /** Defines a float32 variable or gives it a new value. */
  | { readonly kind: "setValue"; readonly variable: string; readonly lanes: Lanes; readonly value: Value }
  /** `count`: only so many of a vector's first lanes. */
  | {
      readonly kind: "store";
      readonly lanes: Lanes;
      readonly count?: number;
      readonly pointer: string;
      readonly position: Index;
      readonly value: Value;
    }
  /** What is read soon. A hint: it does nothing, and the position may lie behind the memory. */
  | { readonly kind: "prefetch"; readonly pointer: string; readonly position: Index };

/** A function over memory: everything but the addresses is fixed when it is generated. */
export interface Kernel {
  /** A readable C identifier, the same for kernels of the same kind; `uniqueKernels` tells them apart. */
  readonly name: string;
  /** What it computes, in one line. */
  readonly comment: string;
  readonly parameters: readonly Pointer[];
  readonly body: readonly Statement[];
  /** What computes the same faster where there are twice as many vector registers, if there is such a thing. */
  readonly roomyBody?: readonly Statement[];
}

/** Every body that a kernel has. */
export function bodiesOf({ body, roomyBody }: Kernel): readonly (readonly Statement[])[] {
  return roomyBody === undefined ? [body] : [body, roomyBody];
}
