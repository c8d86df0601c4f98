import { int, ints } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { Network } from "./network.js";

/**
 * A network with every kind of layer that holds weights: decomposed, dense, grouped, depthwise and transposed
 * convolutions, Gemm, MatMul; one with outputs that are all zero, one with a single weight that is not.
 */
export function storedNetwork(seed: number): { readonly net: Network; readonly graph: Graph } {
  const net = new Network(seed, [3, 8, 8], 17, [1, 3, 8, 8]);
  const first = net.relu(net.conv(net.op("Identity", ["x"]), 16, { pad: 1, bias: true }));
  const sparse = Array.from({ length: 16 }, (_, channel) => channel).filter((channel) => channel % 5 !== 1);
  const decomposed = net.relu(
    net.conv(first, 16, {
      pad: 1,
      basis: 5,
      deadInputs: sparse.slice(4),
      deadOutputs: [2, 7],
      deadBasis: [3],
    }),
  );
  const dead = net.conv(decomposed, 24, { pad: 1, deadInputs: sparse, deadOutputs: [0, 23] });
  const single = net.conv(dead, 16, { kernel: 1, deadInputs: Array.from({ length: 23 }, (_, at) => at) });
  const grouped = net.relu(net.conv(single, 16, { pad: 1, group: 4 }));
  const depthwise = net.conv(grouped, 16, { pad: 1, group: 16 });
  const transposed = net.op("ConvTranspose", [depthwise, net.parameter("up", [16, 8, 2, 2], -0.3, 0.3)], {
    strides: ints([2, 2]),
  });
  const grouped2 = net.op("ConvTranspose", [transposed, net.parameter("up", [8, 4, 2, 2], -0.3, 0.3)], {
    strides: ints([2, 2]),
    group: int(2),
  });
  const pooled = net.op("Flatten", [net.op("GlobalAveragePool", [grouped2])]);
  const features = net.gemm(pooled, 40);
  return { net, graph: net.graph([net.op("MatMul", [features, net.parameter("matrix", [40, 12])])]) };
}
