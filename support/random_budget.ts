import fc from "fast-check";
import { int } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { Network } from "./network.js";
import { randomSource } from "./opcase.js";
import { withZeros } from "./random_zeros.js";

/** A convolution of a random network that is to be compressed. */
interface Block {
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
  readonly kind: "plain" | "grouped" | "depthwise" | "decomposed" | "residual";
  readonly after: "normalized" | "bias" | "nothing";
}

/** A random network and a random target. */
export interface BudgetCase {
  readonly seed: number;
  readonly blocks: readonly Block[];
  /** Shares of zeros that the network comes with. */
  readonly zeros: number;
  readonly deadChannels: number;
  readonly target: number;
  readonly again: number;
  readonly start: "svd" | "calibrate";
  readonly basis: number | "auto";
  /** Whether the file stores what is zero. */
  readonly isSparseFile: boolean;
}

const block: fc.Arbitrary<Block> = fc.record({
  outputs: fc.constantFrom(4, 8, 12),
  kernel: fc.constantFrom(1, 3, 3, 3, 5),
  stride: fc.constantFrom(1, 1, 2),
  kind: fc.constantFrom("plain", "plain", "grouped", "depthwise", "decomposed", "residual"),
  after: fc.constantFrom("normalized", "bias", "nothing"),
});

const target = fc.integer({ min: 1, max: 20 }).map((count) => count / 20);

export const budgetCase: fc.Arbitrary<BudgetCase> = fc.record({
  seed: fc.nat(1e6),
  blocks: fc.array(block, { minLength: 1, maxLength: 4 }),
  zeros: fc.constantFrom(0, 0.3, 0.75, 0.95),
  deadChannels: fc.constantFrom(0, 0, 0.2),
  target,
  again: target,
  start: fc.constantFrom("svd", "calibrate"),
  basis: fc.constantFrom<number | "auto">(2, 3, 5, "auto"),
  isSparseFile: fc.boolean(),
});

/** Height and width of the images. */
const SIZE = 10;

export function budgetNetwork({ seed, blocks, zeros, deadChannels }: BudgetCase): Graph {
  const net = new Network(seed, [3, SIZE, SIZE]);
  let x = net.relu(net.conv("x", 8, { pad: 1, bias: true }));
  for (const each of blocks) x = grown(net, x, each);
  const pooled = net.op("Flatten", [net.op("GlobalAveragePool", [x])], { axis: int(1) });
  const graph = net.graph([net.gemm(pooled, 10)]);
  const shares = { outputs: deadChannels, inputs: 0, last: 0, elements: zeros };
  return withZeros(graph, shares, randomSource(seed + 1));
}

function grown(net: Network, x: string, { outputs, kernel, stride, kind, after }: Block): string {
  const channels = net.channels(x);
  const width = kind === "depthwise" || kind === "residual" ? channels : outputs;
  const group = kind === "depthwise" ? channels : kind === "grouped" ? 2 : 1;
  const convolved = net.conv(x, width, {
    kernel,
    pad: (kernel - 1) / 2,
    stride: kind === "residual" ? 1 : stride,
    group,
    bias: after === "bias",
    ...(kind === "decomposed" && kernel > 1 ? { basis: 3 } : {}),
  });
  const result = after === "normalized" ? net.norm(convolved) : convolved;
  return net.relu(kind === "residual" ? net.op("Add", [result, x]) : result);
}
