import { ints } from "../../../src/graph/attributes.js";
import { float32Tensor } from "../../../src/graph/tensor.js";
import { randomSource } from "../../../support/opcase.js";
import {
  type CaseNode,
  type ContractCase,
  constant,
  forcedRates,
  networkCase,
  outputOf,
  random,
  weight,
} from "../contract_case.js";

/** A 3x3 convolution that Winograd's filtering computes: its inputs and outputs, the map, and what surrounds it. */
interface Tiled {
  readonly batch?: number;
  readonly channels: readonly [number, number];
  readonly size: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly ending: "none" | "relu" | "sum and clip";
}

function tiledCase(name: string, { batch = 1, channels, size, pads, ending }: Tiled): ContractCase {
  const [inputs, outputs] = channels;
  const made = size.map((side, axis) => side + (pads[axis] ?? 0) + (pads[axis + 2] ?? 0) - 2);
  const bound = Math.sqrt(1 / (3 * inputs));
  const conv: CaseNode = {
    op: "Conv",
    inputs: [
      random([batch, inputs, ...size]),
      weight([outputs, inputs, 3, 3], 0, -bound, bound),
      weight([outputs]),
    ],
    attributes: { pads: ints(pads) },
  };
  const endings: Readonly<Record<Tiled["ending"], readonly CaseNode[]>> = {
    none: [],
    relu: [{ op: "Relu", inputs: [outputOf(0)] }],
    "sum and clip": [
      { op: "Add", inputs: [outputOf(0), random([batch, outputs, ...made])] },
      {
        op: "Clip",
        inputs: [outputOf(1), constant(float32Tensor([], [-1])), constant(float32Tensor([], [1]))],
      },
    ],
  };
  return networkCase([conv, ...endings[ending]], { name: `tiles, ${name}`, rates: forcedRates.tiles });
}

const COUNT = 16;

function randomTiles(at: number): ContractCase {
  const next = randomSource(2000 + at);
  const upTo = (most: number): number => 1 + Math.floor(next() * most);
  const pads = [0, 1, 2, 3].map(() => Math.floor(next() * 3)) as [number, number, number, number];
  return tiledCase(`random ${at}`, {
    batch: upTo(2),
    channels: [upTo(11), upTo(11)],
    size: [upTo(17) + 2, upTo(17) + 2],
    pads,
    ending: (["none", "relu", "sum and clip"] as const)[at % 3] ?? "none",
  });
}

const border = [1, 1, 1, 1] as const;

export const tileCases: readonly ContractCase[] = [
  tiledCase("one output position", { channels: [5, 3], size: [3, 3], pads: [0, 0, 0, 0], ending: "none" }),
  tiledCase("rows of tiles by groups", {
    channels: [64, 6],
    size: [9, 128],
    pads: border,
    ending: "sum and clip",
  }),
  tiledCase("outputs by parts", { channels: [64, 128], size: [5, 6], pads: border, ending: "relu" }),
  ...Array.from({ length: COUNT }, (_, at) => randomTiles(at)),
];
