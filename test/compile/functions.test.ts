import assert from "node:assert/strict";
import { test } from "node:test";
import { compileProgram } from "../../src/compile/compile.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { float32Data, float32Tensor, scalarTensor } from "../../src/graph/tensor.js";
import { errorFunction } from "../../src/ops/operators/erf.js";
import { randomSource } from "../../support/opcase.js";
import { skipOf } from "./c/support.js";
import { constant, fed, opCase } from "./contract_case.js";
import { runCasesInC } from "./run_c.js";
import { runModule } from "./run_wasm.js";
import "./self_checked.js";

const COUNT = 4001;

/** Evenly spaced in the logarithm of their size, of both signs where `low` is negative. */
function spread(low: number, high: number): Float32Array {
  const next = randomSource(5);
  return Float32Array.from({ length: COUNT }, (_, at) => {
    if (at % 2 === 0) return low + (high - low) * next();
    const size = high * 10 ** (-7 * next());
    return at % 4 === 1 && low < 0 ? Math.max(low, -size) : Math.max(size, low);
  });
}

interface Accuracy {
  readonly exact: (x: number) => number;
  readonly range: readonly [number, number];
  /** Largest relative error. */
  readonly relative: number;
  /** Of results near 0 that are differences of larger numbers. */
  readonly absolute?: number;
  readonly exponent?: number;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Errors against float64, in normal float32 numbers. */
const functions: readonly (readonly [string, Accuracy])[] = [
  ["Exp", { exact: Math.exp, range: [-87, 88], relative: 2e-7 }],
  ["Log", { exact: Math.log, range: [1e-30, 1e5], relative: 2e-7, absolute: 1e-7 }],
  ["Tanh", { exact: Math.tanh, range: [-12, 12], relative: 3e-7 }],
  ["Erf", { exact: errorFunction, range: [-5, 5], relative: 3e-7, absolute: 1e-9 }],
  ["Sigmoid", { exact: sigmoid, range: [-80, 80], relative: 4e-7 }],
  ["Softplus", { exact: (x) => Math.log1p(Math.exp(x)), range: [-80, 80], relative: 1e-6 }],
  ["Elu", { exact: (x) => (x < 0 ? Math.expm1(x) : x), range: [-20, 5], relative: 4e-7 }],
  ["Pow", { exact: (x) => x ** 2.3, range: [1e-6, 1e6], relative: 1e-6, exponent: 2.3 }],
  ["Pow", { exact: (x) => x ** -0.75, range: [1e-6, 1e6], relative: 1e-6, exponent: -0.75 }],
  ["Pow", { exact: (x) => x ** 30.5, range: [0.1, 15], relative: 1e-5, exponent: 30.5 }],
];

for (const [op, { exact, range, relative, absolute = 0, exponent }] of functions) {
  const title = exponent === undefined ? op : `${op} to the ${exponent}`;
  test(`${title} has a relative error below ${relative}`, () => {
    const x = spread(...range);
    const given = fed(float32Tensor([COUNT], x));
    const second = exponent === undefined ? [] : [constant(scalarTensor(exponent))];
    const { graph, feeds } = opCase({ op, inputs: [given, ...second] });
    const floats = new Map([...feeds].map(([name, tensor]) => [name, float32Data(tensor)]));
    const [found] = runModule(wasmModule(compileProgram(graph, wasmTarget)), floats).values();
    x.forEach((value, at) => {
      const expected = exact(value);
      if (Math.abs(expected) < 1.2e-38) return;
      const error = Math.abs((found?.[at] ?? Number.NaN) - expected);
      assert.ok(
        error <= absolute + relative * Math.abs(expected),
        `of ${value}: ${found?.[at]}, not ${expected}`,
      );
    });
  });
}

/** Where exponentials begin and end, and what is no number. */
const special = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  17,
  87.3,
  88.3,
  88.6,
  88.8,
  104,
  3e38,
];
const numbers = special.flatMap((value) => (value > 0 ? [value, -value] : [value]));
const exponentials: Readonly<Record<string, (x: number) => number>> = {
  Exp: Math.exp,
  Sigmoid: sigmoid,
  Tanh: Math.tanh,
  Softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  Elu: (x) => (x < 0 ? Math.expm1(x) : x),
};
const specialCases = Object.keys(exponentials).flatMap((op) =>
  numbers.map((value) => {
    // A vector of every target, and some that are computed one by one.
    const given = fed(
      float32Tensor(
        [11],
        Array.from({ length: 11 }, () => value),
      ),
    );
    return { value, ...opCase({ op, inputs: [given] }, { name: `${value}` }) };
  }),
);

/** Differences of less than the smallest normal number are none: what is smaller may become 0. */
function assertSpecial(
  { value, ops: [op = ""] }: (typeof specialCases)[number],
  found: ReadonlyMap<string, Float32Array> | undefined,
): void {
  const expected = Math.fround(exponentials[op]?.(Math.fround(value)) ?? Number.NaN);
  for (const result of [...(found?.values() ?? [])].flatMap((values) => [...values])) {
    const isNear = Math.abs(result - expected) <= 1.2e-38 + 1e-6 * Math.abs(expected);
    assert.ok(Object.is(result, expected) || result === expected || isNear, `${op} of ${value}: ${result}`);
    if (!Number.isFinite(expected)) assert.ok(Object.is(result, expected), `${op} of ${value}: ${result}`);
  }
}

test("functions of exponentials are right at NaN, at infinities and where float32 ends: WebAssembly", () => {
  for (const specialCase of specialCases) {
    const { graph, feeds } = specialCase;
    const floats = new Map([...feeds].map(([name, tensor]) => [name, float32Data(tensor)]));
    assertSpecial(specialCase, runModule(wasmModule(compileProgram(graph, wasmTarget)), floats));
  }
});

for (const build of [
  { compiler: "gcc", flags: ["-O1", "-mavx2", "-mfma"] },
  { compiler: "gcc", flags: ["-O1", "-msse2"] },
]) {
  test(`the same in C: ${build.flags.join(" ")}`, { skip: skipOf(build) }, () => {
    const found = runCasesInC(specialCases, build);
    for (const [at, specialCase] of specialCases.entries()) assertSpecial(specialCase, found[at]);
  });
}
