import type { Random } from "../../src/data/random.js";

/** One of the items, which must not be empty. */
export function pick<Item>(random: Random, items: readonly Item[]): Item {
  if (items.length === 0) throw new RangeError("nothing to pick from");
  return items[random.below(items.length)] as Item;
}

/** One of the items, or undefined where there is none. */
export function pickAny<Item>(random: Random, items: readonly Item[]): Item | undefined {
  return items.length === 0 ? undefined : pick(random, items);
}

export function chance(random: Random, probability: number): boolean {
  return random.uniform() < probability;
}

/** Sizes, axes and numbers at and beyond every border that a reader may have overlooked. */
export const absurdIntegers: readonly bigint[] = [
  ...[0, 1, 2, 3, 5, 7, 16, 255, 4095, 4096, 4097, 65536].map(BigInt),
  ...[20n, 24n, 31n, 32n, 40n, 53n, 62n].map((exponent) => 2n ** exponent),
  ...[31n, 53n, 63n].map((exponent) => 2n ** exponent - 1n),
  ...[-1, -2, -3, -5, -100].map(BigInt),
  -(2n ** 31n),
  -(2n ** 63n),
];

export const absurdFloats: readonly number[] = [
  0,
  -0,
  1,
  -1,
  0.5,
  1.5,
  2,
  1e-45,
  1e10,
  3e38,
  -3e38,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];

/** Names that are something else to a careless reader, to a terminal, or to a path. */
export const absurdNames: readonly string[] = [
  "",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "../../etc/passwd",
  "penni/labels",
  "\u001b[31mred\nline",
  "\u0000",
  "\ufffd",
  "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
  "x".repeat(20_000),
];

/** Operators that Penni knows, some that it does not, and some that are no operators. */
export const operatorNames: readonly string[] = [
  ..."Abs Add And ArgMax AveragePool BatchNormalization Cast Clip Concat Constant ConstantOfShape Conv".split(
    " ",
  ),
  ..."ConvTranspose DepthToSpace Div Dropout Elu Equal Erf Exp Expand Flatten Gather Gemm".split(" "),
  ..."GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish Identity".split(" "),
  ..."InstanceNormalization LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LRN MatMul".split(
    " ",
  ),
  ..."Max MaxPool MaxUnpool Min Mul Neg Not OneHot Or Pad Pow PRelu Range Reciprocal ReduceL2".split(" "),
  ..."ReduceMax ReduceMean ReduceMin ReduceSum ReduceSumSquare Relu Reshape Resize Shape Sigmoid".split(" "),
  ..."Sign Size Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh Tile Transpose".split(
    " ",
  ),
  ..."Unsqueeze Upsample Where If Loop Scan TopK Hardmax Scatter QuantizeLinear Unheard".split(" "),
  ..."constructor toString __proto__ valueOf hasOwnProperty".split(" "),
];
