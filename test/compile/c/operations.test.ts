import assert from "node:assert/strict";
import { test } from "node:test";
import * as k from "../../../src/compile/kernel_builder.js";
import { stridedKernel } from "../../../src/compile/kernels/strided.js";
import type { BinaryOp, Comparison, UnaryOp, Value } from "../../../src/compile/loops.js";
import type { Port, Program } from "../../../src/compile/program.js";
import { ProgramBuilder } from "../../../src/compile/program_builder.js";
import { float32Data, float32Tensor } from "../../../src/graph/tensor.js";
import { runInC, SANITIZERS, skipOf } from "./support.js";
import "../self_checked.js";

type Expected = (a: number, b: number) => number;

interface OperationCase {
  readonly value: (a: Value, b: Value) => Value;
  readonly expected: Expected;
  /** Operands for which the loop language says what comes out. */
  readonly accepts?: (a: number, b: number) => boolean;
}

/** Halves to even. */
function nearest(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

const isNormal = (x: number): boolean => x > 1e-30 && Number.isFinite(x);
const exponent = (x: number): number => Math.floor(Math.log2(x));

const unary: Readonly<Record<UnaryOp, Omit<OperationCase, "value">>> = {
  negate: { expected: (x) => -x },
  absolute: { expected: Math.abs },
  squareRoot: { expected: Math.sqrt },
  floor: { expected: Math.floor },
  ceil: { expected: Math.ceil },
  truncate: { expected: Math.trunc },
  nearest: { expected: nearest },
  powerOfTwo: { expected: (x) => 2 ** x, accepts: (x) => Number.isInteger(x) && x >= -126 && x <= 128 },
  exponent: { expected: exponent, accepts: isNormal },
  mantissa: { expected: (x) => x / 2 ** exponent(x), accepts: isNormal },
};

const binary: Readonly<Record<BinaryOp, Expected>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  pseudoMax: (a, b) => (a < b ? b : a),
  pseudoMin: (a, b) => (b < a ? b : a),
};

const comparisons: Readonly<Record<Comparison, (a: number, b: number) => boolean>> = {
  less: (a, b) => a < b,
  lessOrEqual: (a, b) => a <= b,
  equal: (a, b) => a === b,
  notEqual: (a, b) => a !== b,
};

const operations: readonly (readonly [name: string, OperationCase])[] = [
  ...Object.entries(unary).map(
    ([op, rest]) => [op, { ...rest, value: (a: Value) => k.unary(op as UnaryOp, a) }] as const,
  ),
  ...Object.entries(binary).map(
    ([op, expected]) =>
      [op, { expected, value: (a: Value, b: Value) => k.binary(op as BinaryOp, a, b) }] as const,
  ),
  ...Object.entries(comparisons).map(
    ([comparison, holds]) =>
      [
        comparison,
        {
          expected: (a: number, b: number) => (holds(a, b) ? b : 7),
          value: (a: Value, b: Value) => k.select(a, comparison as Comparison, b, b, k.constant(7)),
        },
      ] as const,
  ),
  ["multiplyAdd", { value: (a, b) => k.multiplyAdd(a, k.constant(2), b), expected: (a, b) => 2 * a + b }],
  ["constants", { value: (a) => k.binary("pseudoMax", a, k.constant(-Infinity)), expected: (a) => a }],
];

const SPECIAL = [
  0, -0, 0.5, -0.5, 1.5, 2.5, -1.5, -0.3, 0.7, -0.7, 1, -1, 3, -126, 127, 128, 100, 8388609, -3e9,
];
const SMALL = [1.1754943508222875e-38, 1e-7, 4194303.5, -4194304.5, Infinity, -Infinity, Number.NaN];
// 28 operands: whole vectors of 8 and a rest that is computed one by one.
const left = Float32Array.from([...SPECIAL, ...SMALL, 5, 0.1]);
const right = Float32Array.from(left, (_, i) => left[(i * 11 + 3) % left.length] ?? 0);

/** One kernel and one output for each operation. */
function operationProgram(): Program {
  const builder = new ProgramBuilder(1);
  const port = (name: string, kind: "input" | "output"): Port => {
    const { buffer } = builder.buffer(kind, left.length);
    return { name, dims: [left.length], elementType: "float32", buffer };
  };
  const inputs = [port("left", "input"), port("right", "input")];
  const outputs = operations.map(([name]) => port(name, "output"));
  operations.forEach(([name, { value }], index) => {
    const dims = [left.length];
    const flat = { strides: [1] };
    const kernel = stridedKernel(
      {
        name,
        comment: `${name} of every element.`,
        dims,
        inputs: [flat, flat],
        output: flat,
        compute: ([a = k.constant(0), b = k.constant(0)]) => value(a, b),
      },
      8,
    );
    const places = [...inputs, ...outputs.slice(index, index + 1)];
    builder.call(
      kernel,
      places.map(({ buffer }) => ({ buffer, offset: 0 })),
      { node: name, op: "Test" },
    );
  });
  return builder.finish("operations", inputs, outputs, new Map());
}

const builds: Readonly<Record<string, { readonly compiler: string; readonly flags: readonly string[] }>> = {
  "gcc, SSE2": { compiler: "gcc", flags: ["-O1", "-msse2"] },
  "clang, SSE2": { compiler: "clang", flags: ["-O1", "-msse2"] },
  "clang, AVX2": { compiler: "clang", flags: ["-O1", "-mavx2", "-mfma"] },
  "clang, one by one, sanitizers": { compiler: "clang", flags: ["-O0", "-DSMALL_SCALAR", ...SANITIZERS] },
  "gcc, AVX2, sanitizers": { compiler: "gcc", flags: ["-O0", "-mavx2", "-mfma", ...SANITIZERS] },
};

for (const [name, build] of Object.entries(builds)) {
  test(`every operation on vectors and single numbers: ${name}`, { skip: skipOf(build) }, () => {
    const inputs = new Map([
      ["left", float32Tensor([left.length], left)],
      ["right", float32Tensor([left.length], right)],
    ]);
    const outputs = runInC(operationProgram(), inputs, build);
    for (const [operation, { expected, accepts = () => true }] of operations) {
      const found = float32Data(outputs.get(operation) ?? float32Tensor([0], []));
      left.forEach((a, i) => {
        const b = right[i] ?? 0;
        if (!accepts(a, b)) return;
        const want = Math.fround(expected(a, b));
        assert.ok(
          Object.is(found[i], want) || (found[i] === 0 && want === 0),
          `${operation}(${a}, ${b}): expected ${want}, found ${found[i]}`,
        );
      });
    }
  });
}
