import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ints } from "../../src/graph/attributes.js";
import { PenniError } from "../../src/graph/errors.js";
import type { Attribute, ElementType, ValueType } from "../../src/graph/types.js";
import { TypedBuilder } from "../../src/ops/inference/builder.js";
import { inferNode } from "../../src/ops/inference/infer.js";
import { findOp } from "../../src/ops/inference/registry.js";
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
