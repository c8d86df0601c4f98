import { int, ints } from "../../../src/graph/attributes.js";
import { elementCount, float32Tensor, int64Tensor } from "../../../src/graph/tensor.js";
import { randomSource } from "../../../support/opcase.js";
import {
  type CaseInput,
  type CaseNode,
  type ContractCase,
  constant,
  evenRates,
  forcedRates,
  networkCase,
  outputOf,
  random,
  weight,
} from "../contract_case.js";

// Convolutions whose kernels are sums of a few, in every form: multiplied out when they are compiled or when the result is
// loaded, for sums of products and for Winograd's filtering, or as bases and coefficients.

const COUNT = 40;

/** Dense forms first: in them kernels are multiplied out. */
const rates = [forcedRates.dense, forcedRates.tiles, forcedRates.sparse, forcedRates.factored, evenRates];

const kernels: readonly (readonly [number, number])[] = [
  [3, 3],
  [3, 3],
  [1, 3],
  [5, 5],
  [2, 2],
  [4, 1],
];

function decomposedCase(at: number): ContractCase {
  const next = randomSource(4000 + at);
  const upTo = (most: number): number => 1 + Math.floor(next() * most);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] ?? (list[0] as T);
  const isTiled = at % 5 === 1;
  const groups = isTiled ? 1 : pick([1, 1, 2, 3]);
  const [inputs, outputs] = [groups * upTo(11), groups * upTo(11)];
  const kernel = isTiled ? ([3, 3] as const) : pick(kernels);
  const taps = elementCount(kernel);
  const d = upTo(Math.min(6, taps));
  const strides = isTiled ? [1, 1] : [pick([1, 1, 2]), pick([1, 1, 2, 3])];
  const dilations = isTiled ? [1, 1] : [pick([1, 1, 2]), 1];
  const pads = Array.from({ length: 4 }, () => Math.floor(next() * 3));
  const size = kernel.map((side, axis) => (side - 1) * (dilations[axis] ?? 1) + upTo(12));
  const bound = Math.sqrt(3 / ((inputs / groups) * taps));
  const coefs = [outputs, inputs / groups, d];
  const zeros = pick([0, 0.6, 0.95, 1]);
  return networkCase(
    [
      {
        op: "MatMul",
        inputs: [coefficients(coefs, zeros, bound, pick([0, 6, 127]), next), weight([d, taps])],
      },
      {
        op: "Reshape",
        inputs: [outputOf(0), constant(int64Tensor([4], [outputs, inputs / groups, ...kernel]))],
      },
      {
        op: "Conv",
        inputs: [
          random([pick([1, 1, 2]), inputs, ...size]),
          outputOf(1),
          ...(next() < 0.5 ? [weight([outputs])] : []),
        ],
        attributes: {
          group: int(groups),
          strides: ints(strides),
          dilations: ints(dilations),
          pads: ints(pads),
        },
      },
      ...ending(next() < 0.5),
    ],
    { name: `decomposed, random ${at}`, rates: rates[at % rates.length] ?? evenRates },
  );
}

const ending = (isCut: boolean): readonly CaseNode[] =>
  isCut ? [{ op: "Relu", inputs: [outputOf(2)] }] : [];

/** @param levels on each side of zero that each output's are multiples of; 0: any numbers */
function coefficients(
  dims: readonly number[],
  zeros: number,
  bound: number,
  levels: number,
  next: () => number,
): CaseInput {
  if (levels === 0) return weight(dims, zeros, -bound, bound);
  const each = elementCount(dims.slice(1));
  const scales = Array.from({ length: dims[0] ?? 0 }, () => Math.fround((bound * (0.5 + next())) / levels));
  const values = Array.from({ length: elementCount(dims) }, (_, index) => {
    const level = next() < zeros ? 0 : Math.round(levels * (2 * next() - 1));
    return Math.fround(level * (scales[Math.floor(index / each)] ?? 0));
  });
  return constant(float32Tensor(dims, values));
}

export const decomposedCases: readonly ContractCase[] = Array.from({ length: COUNT }, (_, at) =>
  decomposedCase(at),
);
