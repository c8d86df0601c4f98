import { create } from "@bufbuild/protobuf";
import type { Random } from "../../src/data/random.js";
import { type AttributeProto, ValueInfoProtoSchema } from "../../src/onnx/gen/onnx_pb.js";
import { Appender, type Builder, int, ints, reals, sizes, text } from "./appender.js";
import { absurdIntegers, chance, operatorNames, pick, pickAny } from "./draw.js";
import { quantizedBuilders } from "./quantized_nodes.js";
import type { StructureMutation, Target } from "./structure.js";

const manyDims = (random: Random): bigint[] => sizes(random, random.below(chance(random, 0.9) ? 6 : 40));

function windowed(op: string): Builder {
  return (random, add) => {
    const rank = chance(random, 0.8) ? 2 : random.below(4);
    const attributes = ["strides", "dilations", "kernel_shape"].map((name) =>
      ints(name, sizes(random, rank)),
    );
    const more = [ints("pads", sizes(random, 2 * rank)), int("group", pick(random, absurdIntegers))];
    if (chance(random, 0.3)) more.push(text("auto_pad", pick(random, ["SAME_UPPER", "SAME_LOWER", "VALID"])));
    const all = random.shuffle([...attributes, ...more, int("ceil_mode", 1n)]).slice(0, 1 + random.below(5));
    if (op.endsWith("Pool")) {
      const kernel = all.some(({ name }) => name === "kernel_shape") ? [] : [ints("kernel_shape", [2n, 2n])];
      return add.node(op, [add.any()], [...all, ...kernel], 1 + random.below(2));
    }
    return add.node(op, [add.any(), add.any()], all);
  };
}

function chain(op: string, more: Builder | undefined, attributes: readonly AttributeProto[]): Builder {
  return (random, add) => {
    const count = pick(random, [150, 400, 1500]);
    const parameter = more?.(random, add);
    let value = add.any();
    for (let length = 0; length < count; length += 1)
      value = add.node(op, parameter === undefined ? [value] : [value, parameter], attributes);
    return value;
  };
}

const builders: Readonly<Record<string, Builder>> = {
  ...quantizedBuilders,
  constantOfShape: (random, add) => add.node("ConstantOfShape", [add.integers(manyDims(random))]),
  expand: (random, add) =>
    add.node("Expand", [
      chance(random, 0.5) ? add.any() : add.integers([1n]),
      add.integers(manyDims(random)),
    ]),
  tile: (random, add) => add.node("Tile", [add.any(), add.integers(sizes(random, 4))]),
  reshape: (random, add) =>
    add.node(
      "Reshape",
      [add.any(), add.integers(manyDims(random))],
      [int("allowzero", BigInt(random.below(2)))],
    ),
  reshapeByFloats: (random, add) => add.node("Reshape", [add.any(), add.floats(reals(random, 3))]),
  range: (random, add) => {
    const number = chance(random, 0.5)
      ? () => add.integers(sizes(random, 1), [])
      : () => add.floats(reals(random, 1), []);
    return add.node("Range", [number(), number(), number()]);
  },
  oneHot: (random, add) =>
    add.node(
      "OneHot",
      [add.integers(sizes(random, 2)), add.integers(sizes(random, 1)), add.floats([0, 1])],
      [int("axis", pick(random, absurdIntegers))],
    ),
  pad: (random, add) =>
    add.node(
      "Pad",
      [add.any(), add.integers(sizes(random, 8))],
      [text("mode", pick(random, ["constant", "reflect", "edge", "wrap", "?"]))],
    ),
  resizeScales: (random, add) => add.node("Resize", [add.any(), "", add.floats(reals(random, 4))]),
  resizeSizes: (random, add) => add.node("Resize", [add.any(), "", "", add.integers(sizes(random, 4))]),
  slice: (random, add) => {
    const count = 1 + random.below(3);
    const parameters = Array.from({ length: 4 }, () => add.integers(sizes(random, count)));
    return add.node("Slice", [add.any(), ...parameters.slice(0, 2 + random.below(3))]);
  },
  gather: (random, add) =>
    add.node(
      "Gather",
      [add.any(), add.integers(sizes(random, 3))],
      [int("axis", pick(random, absurdIntegers))],
    ),
  split: (random, add) =>
    add.node(
      "Split",
      chance(random, 0.5) ? [add.any()] : [add.any(), add.integers(sizes(random, 3))],
      [int("axis", BigInt(random.below(4))), int("num_outputs", pick(random, absurdIntegers))],
      chance(random, 0.9) ? 1 + random.below(3) : 2000,
    ),
  concatOften: (random, add) => {
    const value = add.any();
    const count = pick(random, [3, 300, 3000]);
    return add.node(
      "Concat",
      Array.from({ length: count }, () => value),
      [int("axis", BigInt(random.below(3)))],
    );
  },
  concatDoubling: (random, add) => {
    let value = chance(random, 0.5) ? add.any() : add.integers([1n, 2n]);
    for (let times = 0; times < 60; times += 1) value = add.node("Concat", [value, value], [int("axis", 0n)]);
    return value;
  },
  diamonds: (random, add) => {
    let value = add.any();
    const [left, right] = [
      pick(random, ["Relu", "Neg", "Identity"]),
      pick(random, ["Abs", "Relu", "Sigmoid"]),
    ];
    for (let times = 0; times < 60; times += 1)
      value = add.node("Add", [add.node(left, [value]), add.node(right, [value])]);
    return value;
  },
  growingNumbers: (random, add) => {
    let value = add.integers(sizes(random, 3));
    const operator = pick(random, ["Mul", "Add", "Pow", "Sub", "Div", "Max"]);
    for (let times = 0; times < 12; times += 1) value = add.node(operator, [value, value]);
    return add.node(pick(random, ["Reshape", "Expand", "Tile"]), [add.any(), value]);
  },
  arithmetic: (random, add) =>
    add.node(pick(random, ["Add", "Sub", "Mul", "Div", "Pow", "Where", "Equal", "Mod", "Min", "Max"]), [
      add.integers(sizes(random, 3)),
      add.integers(sizes(random, 3)),
    ]),
  emptyFactor: (random, add) =>
    add.node(pick(random, ["MatMul", "Gemm", "Add", "Conv", "ConvTranspose", "PRelu"]), [
      add.any(),
      add.floats(
        [],
        [
          0n,
          pick(
            random,
            absurdIntegers.filter((size) => size >= 0n && size < 2n ** 50n),
          ),
        ],
      ),
    ]),
  axes: (random, add) =>
    add.node(pick(random, ["Squeeze", "Unsqueeze", "ReduceSum", "ReduceMean", "ReduceMax"]), [
      add.any(),
      add.integers(sizes(random, random.below(4))),
    ]),
  manyAxes: (random, add) =>
    add.node(pick(random, ["Unsqueeze", "Squeeze"]), [
      add.any(),
      add.integers(Array.from({ length: 4000 }, (_, axis) => BigInt(axis))),
    ]),
  flatten: (random, add) =>
    add.node(
      pick(random, ["Flatten", "Softmax", "LogSoftmax", "ArgMax", "Hardmax"]),
      [add.any()],
      [int("axis", pick(random, absurdIntegers))],
    ),
  cast: (random, add) => add.node("Cast", [add.any()], [int("to", BigInt(random.below(25)))]),
  transpose: (random, add) => add.node("Transpose", [add.any()], [ints("perm", sizes(random, 4))]),
  depthToSpace: (random, add) =>
    add.node(
      pick(random, ["DepthToSpace", "SpaceToDepth"]),
      [add.any()],
      [int("blocksize", pick(random, absurdIntegers))],
    ),
  lrn: (random, add) => add.node("LRN", [add.any()], [int("size", pick(random, absurdIntegers))]),
  groupNormalization: (random, add) =>
    add.node(
      "GroupNormalization",
      [add.any(), add.any(), add.any()],
      [int("num_groups", pick(random, absurdIntegers))],
    ),
  upsample: (random, add) => add.node("Upsample", [add.any(), add.floats(reals(random, 4))]),
  blocksWithoutSize: (random, add) => add.node(pick(random, ["DepthToSpace", "SpaceToDepth"]), [add.any()]),
  // Constants that only the interpreter can compute.
  largeConstants: (random, add) => {
    const shape = add.integers(sizes(random, 2));
    const value = add.node(pick(random, ["Exp", "Sigmoid", "Neg"]), [add.node("ConstantOfShape", [shape])]);
    return add.node(pick(random, ["Mul", "Conv", "MatMul", "ReduceSum"]), [add.any(), value]);
  },
  wideRelus: (random, add) => {
    let value = add.node("Expand", [
      add.floats([1], [1n, 1n, 1n]),
      add.integers([1n, pick(random, absurdIntegers), 1n]),
    ]);
    for (let times = 0; times < 300; times += 1) value = add.node("Relu", [value]);
    return value;
  },
  normalization: (random, add) =>
    add.node(pick(random, ["BatchNormalization", "InstanceNormalization", "LayerNormalization"]), [
      add.any(),
      ...Array.from({ length: 4 }, () => add.any()),
    ]),
  conv: windowed("Conv"),
  convTranspose: windowed("ConvTranspose"),
  maxPool: windowed("MaxPool"),
  averagePool: windowed("AveragePool"),
  anyOperator: (random, add) =>
    add.node(
      pick(random, operatorNames),
      Array.from({ length: random.below(6) }, () => add.any()),
    ),
  identities: chain("Identity", undefined, []),
  relus: chain("Relu", undefined, []),
  transposes: chain("Transpose", undefined, []),
  reshapes: chain("Reshape", (_random, add) => add.integers([0n, -1n]), []),
  flattens: chain("Flatten", undefined, []),
  unsqueezes: chain("Unsqueeze", (_random, add) => add.integers([0n]), []),
  additions: chain("Add", (_random, add) => add.any(), []),
  concats: chain("Concat", (_random, add) => add.any(), [int("axis", 1n)]),
  slices: (random, add) => {
    let value = add.any();
    const parameters = [add.integers([0n]), add.integers([1000n]), add.integers([2n])];
    for (let times = 0; times < pick(random, [150, 400, 1500]); times += 1)
      value = add.node("Slice", [value, ...parameters]);
    return value;
  },
  readersOfOne: (random, add) => {
    const value = add.any();
    const operator = pick(random, ["Relu", "Conv", "Reshape", "Shape", "Identity"]);
    const second = operator === "Conv" || operator === "Reshape" ? [add.any()] : [];
    for (let times = 0; times < 1500; times += 1) add.node(operator, [value, ...second]);
    return add.node("Neg", [value]);
  },
};

/** Makes the graph depend on a value: through its outputs, or through a node that read something else. */
function use(random: Random, { graph }: Target, value: string): void {
  const reader = pickAny(random, graph.node);
  if (chance(random, 0.6) || reader === undefined || reader.input.length === 0) {
    graph.output.push(create(ValueInfoProtoSchema, { name: value }));
    return;
  }
  reader.input[random.below(reader.input.length)] = value;
}

/** Nodes whose results would be enormous, empty, impossible, or take forever to understand, by name. */
export const nodeMutations: Readonly<Record<string, StructureMutation>> = Object.fromEntries(
  Object.entries(builders).map(([name, build]): [string, StructureMutation] => [
    `node:${name}`,
    (random, target) => use(random, target, build(random, new Appender(random, target))),
  ]),
);
