import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ints } from "../../src/graph/attributes.js";
import { PenniError } from "../../src/graph/errors.js";
import type { Attribute, ElementType, ValueType } from "../../src/graph/types.js";
import type { KnownValue, NodeContext } from "../../src/ops/core/context.js";
import { TypedBuilder } from "../../src/ops/inference/builder.js";
import { inferNode } from "../../src/ops/inference/infer.js";
import { findOp, standardOperators } from "../../src/ops/inference/registry.js";
import { node } from "../../support/small_models.js";

const typed = (elementType: ElementType, ...shape: number[]): ValueType => ({ elementType, shape });
const floats = (...shape: number[]): ValueType => typed("float32", ...shape);

interface Broken {
  readonly op: string;
  readonly inputs: readonly (ValueType | undefined)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly says: RegExp;
}

/** Ranks and lengths that a file may have wrong, and that the rules behind the shape rule rely on. */
const misshapen: readonly Broken[] = [
  { op: "RoiAlign", inputs: [floats(3, 8, 8), floats(2, 4)], says: /input 0 .*rank 4/s },
  { op: "RoiAlign", inputs: [floats(1, 3, 8, 8), floats(4)], says: /input 1 .*rank 2/s },
  { op: "EyeLike", inputs: [floats(3)], says: /rank 2/ },
  { op: "Trilu", inputs: [floats(3)], says: /rank 2 or more/ },
  { op: "LRN", inputs: [floats(3)], says: /rank 2 or more/ },
  { op: "GroupNormalization", inputs: [floats(3), floats(3), floats(3)], says: /rank 2 or more/ },
  { op: "GatherND", inputs: [floats(3, 4), typed("int64")], says: /input 1 .*rank 1 or more/s },
  { op: "ScatterND", inputs: [floats(3, 4), typed("int64"), floats()], says: /input 1 .*rank 1 or more/s },
  { op: "LSTM", inputs: [floats(5, 1, 3), floats(8, 3), floats(1, 8, 2)], says: /weights .*rank/s },
  { op: "GRU", inputs: [floats(5, 1, 3), floats(1, 6, 3), floats(6, 2)], says: /weights .*rank/s },
  {
    op: "ConvTranspose",
    inputs: [floats(1, 2, 4, 4), floats(2, 3, 3, 3)],
    attributes: { strides: ints([2]) },
    says: /"strides".*2 positive numbers/s,
  },
  {
    op: "ConvTranspose",
    inputs: [floats(1, 2, 4, 4), floats(2, 3, 3, 3)],
    attributes: { pads: ints([1, 1]) },
    says: /"pads".*4 numbers/s,
  },
  { op: "MaxUnpool", inputs: [floats(1, 2, 4, 4), typed("int64", 1, 2, 4, 4)], says: /"kernel_shape"/ },
  {
    op: "MaxUnpool",
    inputs: [floats(1, 2, 4, 4), typed("int64", 1, 2, 4, 4)],
    attributes: { kernel_shape: ints([2]) },
    says: /kernel does not fit/,
  },
  {
    op: "MaxUnpool",
    inputs: [floats(1, 2, 4, 4), typed("int64", 1, 2, 4, 4)],
    attributes: { kernel_shape: ints([2, 2]), strides: ints([2]) },
    says: /"strides".*2 numbers/s,
  },
];

/** Nodes without an input that only their expansion reads. */
const incomplete: readonly Broken[] = [
  { op: "ScatterElements", inputs: [floats(3, 4), typed("int64", 1, 4)], says: /input 2/ },
  { op: "ScatterND", inputs: [floats(3, 4), typed("int64", 1, 1)], says: /input 2/ },
  { op: "RoiAlign", inputs: [floats(1, 3, 8, 8), floats(2, 4)], says: /input 2/ },
  { op: "QuantizeLinear", inputs: [floats(3)], says: /input 1/ },
  { op: "QLinearConv", inputs: [typed("uint8", 1, 1, 4, 4), undefined, typed("uint8")], says: /input 1/ },
];

const nameOf = ({ inputs }: Broken, index: number): string =>
  inputs[index] === undefined ? "" : `in${index}`;

const nodeOf = (broken: Broken) =>
  node(
    broken.op,
    broken.inputs.map((_, index) => nameOf(broken, index)),
    "y",
    broken.attributes,
  );

/** Inputs by which nodes are told sizes, axes and places. */
const told: readonly (readonly [string, readonly number[]])[] = [
  ["Reshape", [1]],
  ["Expand", [1]],
  ["Tile", [1]],
  ["Squeeze", [1]],
  ["Unsqueeze", [1]],
  ["Pad", [1, 3]],
  ["Split", [1]],
  ["Slice", [1, 2, 3, 4]],
  ["ConstantOfShape", [0]],
  ["ReduceSum", [1]],
  ["ReduceMean", [1]],
];

/** A node of `op` whose inputs up to number `index` are known lists, the last one as given and the others fit. */
function toldBy(op: string, index: number, last: KnownValue): NodeContext {
  const list = (elements: readonly number[]): KnownValue => ({
    type: "int64",
    dims: [elements.length],
    elements,
  });
  const values = Array.from({ length: index + 1 }, (_, at) => {
    if (at === index) return last;
    if (at === 0) return undefined;
    return op === "Pad" && at === 1 ? list([0, 0]) : list([1]);
  });
  const inputs = values.map((value) =>
    value === undefined ? floats(1, 1) : typed(value.type, ...value.dims),
  );
  const names = inputs.map((_, at) => `in${at}`);
  return { node: node(op, names, "y"), opset: 18, inputs, values };
}

function refusal(run: () => unknown): PenniError {
  try {
    run();
  } catch (error) {
    if (error instanceof PenniError) return error;
    throw error;
  }
  throw new Error("it was taken");
}

describe("a broken file is told from a fault of Penni", () => {
  for (const [index, broken] of misshapen.entries()) {
    test(`shapes: ${broken.op} (${index})`, () => {
      const error = refusal(() =>
        inferNode({ node: nodeOf(broken), opset: 18, inputs: broken.inputs, values: [] }),
      );
      assert.notEqual(error.code, "internal");
      assert.match(error.message, broken.says);
    });
  }

  for (const op of standardOperators) {
    const scalars = findOp({ op, domain: "" })?.scalars ?? [];
    for (const index of scalars) {
      test(`one number: ${op}, input ${index}`, () => {
        for (const shape of [[0], [2], [1, 0], [1, 1, 1, 1, 1]]) {
          const inputs = Array.from({ length: index + 1 }, (_, at) =>
            at === index ? floats(...shape) : floats(),
          );
          const broken = node(
            op,
            inputs.map((_, at) => `in${at}`),
            "y",
          );
          const error = refusal(() => inferNode({ node: broken, opset: 18, inputs, values: [] }));
          assert.equal(error.code, "shape");
          assert.match(error.message, new RegExp(`input ${index} must be one number`));
        }
      });
    }
  }

  for (const [op, indices] of told) {
    for (const index of indices) {
      test(`integers: ${op}, input ${index}`, () => {
        for (const type of ["float32", "float64", "bool"] as const) {
          const context = toldBy(op, index, { type, dims: [1], elements: [1] });
          const error = refusal(() => inferNode(context));
          assert.equal(error.code, "shape");
          assert.match(error.message, new RegExp(`input ${index} must hold integers.*${type}`, "s"));
        }
      });
    }
  }

  for (const broken of incomplete) {
    test(`expansion: ${broken.op}`, () => {
      const b = new TypedBuilder(18, new Set());
      broken.inputs.forEach((type, index) => {
        if (type !== undefined) b.declare(nameOf(broken, index), type);
      });
      const error = refusal(() => findOp(nodeOf(broken))?.expand?.(b, nodeOf(broken)));
      assert.equal(error.code, "bad-model");
      assert.match(error.message, broken.says);
    });
  }
});
