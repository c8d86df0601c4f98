import { int, ints, text } from "../../../src/graph/attributes.js";
import type { Attribute } from "../../../src/graph/types.js";
import { type ContractCase, opCase, random } from "../contract_case.js";

interface PoolForm {
  readonly name: string;
  readonly x: readonly number[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** AveragePool has no dilations before opset 19. */
  readonly onlyMax?: boolean;
}

const poolForms: readonly PoolForm[] = [
  { name: "2x2", x: [1, 3, 6, 8], attributes: { kernel_shape: ints([2, 2]), strides: ints([2, 2]) } },
  {
    name: "3x3 with padding",
    x: [2, 3, 9, 7],
    attributes: { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) },
  },
  {
    name: "3x3, stride 1",
    x: [1, 5, 5, 5],
    attributes: { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) },
  },
  {
    name: "rounded up",
    x: [1, 3, 8, 9],
    attributes: { kernel_shape: ints([3, 3]), strides: ints([2, 2]), ceil_mode: int(1) },
  },
  {
    name: "SAME_UPPER",
    x: [1, 3, 7, 6],
    attributes: { kernel_shape: ints([3, 3]), strides: ints([2, 2]), auto_pad: text("SAME_UPPER") },
  },
  { name: "one axis", x: [1, 3, 13], attributes: { kernel_shape: ints([3]), strides: ints([2]) } },
  { name: "whole image", x: [1, 3, 4, 4], attributes: { kernel_shape: ints([4, 4]) } },
  { name: "one pixel", x: [1, 3, 1, 1], attributes: { kernel_shape: ints([1, 1]) } },
  { name: "narrow", x: [1, 3, 5, 3], attributes: { kernel_shape: ints([2, 2]) } },
  {
    name: "strides 1 and 3",
    x: [1, 3, 5, 11],
    attributes: { kernel_shape: ints([2, 2]), strides: ints([1, 3]) },
  },
  {
    name: "dilated",
    x: [1, 3, 9, 9],
    attributes: { kernel_shape: ints([3, 3]), dilations: ints([2, 2]) },
    onlyMax: true,
  },
];

// NaN is left out: whether ONNX Runtime's MaxPool and ReduceMax pass it on depends on where in a vector it stands.
// Here it is passed on by windows, and by reductions only where it comes first.
export const poolCases: readonly ContractCase[] = poolForms.flatMap(
  ({ name, x, attributes, onlyMax = false }) => [
    opCase({ op: "MaxPool", inputs: [random(x, -3, -1)], attributes }, { name }),
    ...(onlyMax
      ? []
      : [0, 1].map((include) =>
          opCase(
            {
              op: "AveragePool",
              inputs: [random(x)],
              attributes: { ...attributes, count_include_pad: int(include) },
            },
            { name: `${name}, ${include === 1 ? "with" : "without"} padding` },
          ),
        )),
  ],
);
