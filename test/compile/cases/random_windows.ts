import { int, ints } from "../../../src/graph/attributes.js";
import { elementCount, float32Tensor } from "../../../src/graph/tensor.js";
import { randomSource } from "../../../support/opcase.js";
import {
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

const COUNT = 48;

const kinds = { even: evenRates, dense: forcedRates.dense, sparse: forcedRates.sparse };

/** A convolution, perhaps with a residual and bounds, of random sizes, attributes and sparsity. */
function randomConvolution(at: number): ContractCase {
  const next = randomSource(1000 + at);
  const upTo = (most: number): number => 1 + Math.floor(next() * most);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] ?? (list[0] as T);
  const group = pick([1, 1, 1, 2, 3]);
  const depthwise = next() < 0.2;
  const inputs = depthwise ? group * upTo(6) : group * upTo(9);
  const groups = depthwise ? inputs : group;
  const outputs = groups * (depthwise ? pick([1, 1, 2]) : upTo(9));
  const kernel = [upTo(4), upTo(4)];
  const dilations = [pick([1, 1, 2]), pick([1, 1, 2, 3])];
  const strides = [pick([1, 1, 2, 3]), pick([1, 1, 2, 3])];
  const pads = Array.from({ length: 4 }, () => Math.floor(next() * 3));
  const size = [0, 1].map((axis) => {
    const reach = ((kernel[axis] ?? 1) - 1) * (dilations[axis] ?? 1) + 1;
    return Math.max(reach - (pads[axis] ?? 0) - (pads[axis + 2] ?? 0), upTo(14), 1);
  });
  const made = size.map((input, axis) => {
    const reach = ((kernel[axis] ?? 1) - 1) * (dilations[axis] ?? 1) + 1;
    const room = input + (pads[axis] ?? 0) + (pads[axis + 2] ?? 0) - reach;
    return Math.floor(room / (strides[axis] ?? 1)) + 1;
  });
  const weightDims = [outputs, inputs / groups, ...kernel];
  const bound = Math.sqrt(3 / elementCount(weightDims.slice(1)));
  const batch = pick([1, 1, 2]);
  const conv: CaseNode = {
    op: "Conv",
    inputs: [
      random([batch, inputs, ...size]),
      weight(weightDims, pick([0, 0.5, 0.9]), -bound, bound),
      ...(next() < 0.5 ? [weight([outputs])] : []),
    ],
    attributes: {
      group: int(groups),
      strides: ints(strides),
      dilations: ints(dilations),
      pads: ints(pads),
    },
  };
  const ending: readonly CaseNode[] = [
    { op: "Add", inputs: [outputOf(0), random([batch, outputs, ...made])] },
    {
      op: "Clip",
      inputs: [outputOf(1), constant(float32Tensor([], [-1])), constant(float32Tensor([], [1]))],
    },
  ];
  const kind = pick(["even", "dense", "sparse"] as const);
  const nodes = next() < 0.3 ? [conv, ...ending] : [conv];
  return networkCase(nodes, { name: `random ${at}, ${kind}`, rates: kinds[kind] });
}

export const randomWindowCases: readonly ContractCase[] = Array.from({ length: COUNT }, (_, at) =>
  randomConvolution(at),
);
