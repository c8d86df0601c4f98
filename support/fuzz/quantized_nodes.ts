import type { Random } from "../../src/data/random.js";
import { type Appender, type Builder, int, ints, reals, sizes } from "./appender.js";
import { absurdIntegers, chance, pick } from "./draw.js";

const MICROSOFT = "com.microsoft";
const [FLOAT, UINT8, INT8, INT32, UINT4, INT4, UINT2, INT2] = [1, 2, 3, 6, 21, 22, 25, 26];

const fused: readonly string[] = [
  ..."QLinearAdd QLinearMul QLinearLeakyRelu QLinearSigmoid QLinearSoftmax QLinearConcat QLinearWhere".split(
    " ",
  ),
  ..."QLinearGlobalAveragePool QLinearAveragePool QLinearConv QGemm MatMulIntegerToFloat".split(" "),
  ..."DynamicQuantizeMatMul DynamicQuantizeLSTM QLinearReduceMean QuantizeLinear DequantizeLinear".split(" "),
];

/** A scale or zero point: one, several, none, or something else. */
function parameter(random: Random, add: Appender, dataType: number): string {
  if (chance(random, 0.1)) return "";
  if (chance(random, 0.15)) return add.any();
  const count = chance(random, 0.6) ? 1 : random.below(6);
  const dims = count === 1 && chance(random, 0.7) ? [] : [BigInt(count)];
  if (dataType === FLOAT)
    return add.floats(
      chance(random, 0.5) ? Array.from({ length: count }, () => 0.1) : reals(random, count),
      dims,
    );
  return add.packed(dataType, new Uint8Array(dataType === INT32 ? 4 * count : count), dims);
}

/** Integers of a quantized type, as many as they say or not. */
function integers(random: Random, add: Appender): string {
  const type = pick(random, [UINT8, INT8, INT8, INT32, UINT4, INT4, UINT2, INT2]);
  const dims = chance(random, 0.7) ? [4n, 4n, 3n, 3n] : sizes(random, random.below(5));
  const bytes = chance(random, 0.7)
    ? ({ [UINT2]: 36, [INT2]: 36, [UINT4]: 72, [INT4]: 72, [INT32]: 576 }[type] ?? 144)
    : random.below(200);
  return add.packed(type, new Uint8Array(bytes).fill(random.below(256)), dims);
}

const quantized = (random: Random, add: Appender, dataType: number): readonly string[] => [
  chance(random, 0.5)
    ? add.node("QuantizeLinear", [add.any(), parameter(random, add, FLOAT), parameter(random, add, dataType)])
    : integers(random, add),
  parameter(random, add, FLOAT),
  parameter(random, add, dataType),
];

/** What quantizers write, with types, sizes and numbers of inputs that fit more or less. */
export const quantizedBuilders: Readonly<Record<string, Builder>> = {
  quantizedByRuntime: (random, add) => {
    const type = pick(random, [UINT8, INT8]);
    const inputs = [
      ...quantized(random, add, type),
      ...quantized(random, add, type),
      ...quantized(random, add, type),
    ];
    const first = chance(random, 0.3) ? [add.any()] : [];
    const attributes = [
      ...(chance(random, 0.3) ? [int("channels_last", 1n)] : []),
      ...(chance(random, 0.5) ? [int("axis", pick(random, absurdIntegers))] : []),
      ...(chance(random, 0.5) ? [ints("kernel_shape", sizes(random, 2))] : []),
    ];
    const given = [...first, ...inputs].slice(0, random.below(inputs.length + 2));
    const value = add.node(pick(random, fused), given, attributes, 1, MICROSOFT);
    return chance(random, 0.5) ? value : add.node("DequantizeLinear", [value, ...inputs.slice(1, 3)]);
  },
  quantizedWeights: (random, add) => {
    const attributes = [
      ...(chance(random, 0.5)
        ? [int("axis", chance(random, 0.7) ? BigInt(random.below(4)) : pick(random, absurdIntegers))]
        : []),
      ...(chance(random, 0.5)
        ? [
            int(
              "block_size",
              chance(random, 0.7) ? BigInt(1 + random.below(4)) : pick(random, absurdIntegers),
            ),
          ]
        : []),
    ];
    const scale = chance(random, 0.4)
      ? add.floats(
          Array.from({ length: 36 }, () => 0.1),
          [4n, 1n, 3n, 3n],
        )
      : parameter(random, add, FLOAT);
    const weight = add.node(
      "DequantizeLinear",
      [integers(random, add), scale, parameter(random, add, INT8)],
      attributes,
    );
    return add.node("Conv", [add.any(), weight]);
  },
  weightsInBlocks: (random, add) => {
    const [bits, block] = [pick(random, [2, 4, 4, 8]), pick(random, [16, 32])];
    const stated = { K: 2 * block, N: 3, bits, block_size: block };
    const attributes = Object.entries(stated).map(([name, value]) =>
      int(name, chance(random, 0.9) ? BigInt(value) : pick(random, absurdIntegers)),
    );
    const bytes = chance(random, 0.9) ? (6 * block * bits) / 8 : random.below(300);
    const dims = chance(random, 0.9) ? [3n, 2n, BigInt((block * bits) / 8)] : sizes(random, 3);
    const inputs = [
      add.any(),
      add.packed(UINT8, new Uint8Array(bytes).fill(random.below(256)), dims),
      add.floats(reals(random, chance(random, 0.9) ? 6 : random.below(9))),
      chance(random, 0.5) ? "" : add.packed(UINT8, new Uint8Array(3 * Math.ceil(bits / 4)), [3n]),
      chance(random, 0.9) ? "" : add.any(),
      chance(random, 0.7) ? "" : add.any(),
    ];
    return add.node("MatMulNBits", inputs.slice(0, 2 + random.below(5)), attributes, 1, MICROSOFT);
  },
  boxes: (random, add) => {
    const counts = sizes(random, 3);
    const names = ["output_height", "output_width", "sampling_ratio"];
    const boxes = chance(random, 0.5) ? add.any() : add.floats(reals(random, 8), [2n, 4n]);
    return add.node(
      "RoiAlign",
      [add.any(), boxes, add.integers(sizes(random, 2))],
      names.map((name, at) => int(name, counts[at] ?? 1n)),
    );
  },
};
