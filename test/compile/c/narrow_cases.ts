import { ints } from "../../../src/graph/attributes.js";
import type { Graph } from "../../../src/graph/types.js";
import { Network } from "../../../support/network.js";

interface NetworkCase {
  readonly graph: Graph;
  readonly net: Network;
}

function network(dims: readonly number[], outputs: (net: Network) => readonly string[]): () => NetworkCase {
  return () => {
    const net = new Network(1, dims);
    return { net, graph: net.graph(outputs(net)) };
  };
}

/** Networks whose rows are narrower than a vector or end inside one, next to memory that the caller owns. */
export const narrowCases: Readonly<Record<string, () => NetworkCase>> = {
  "a narrow input as a residual": network([4, 2, 2], (net) => [
    net.op("Add", [net.conv("x", 4, { pad: 1 }), "x"]),
  ]),
  "a residual of one pixel": network([4, 1, 1], (net) => [
    net.op("Add", [net.conv("x", 4, { kernel: 1 }), "x"]),
  ]),
  "a narrow constant as a residual": network([4, 2, 2], (net) => [
    net.op("Add", [net.conv("x", 4, { kernel: 1 }), net.parameter("constant", [1, 4, 2, 2])]),
  ]),
  "an output that is read again, narrow": network([4, 2, 2], (net) => {
    const first = net.conv("x", 5, { kernel: 1 });
    return [first, net.op("Add", [net.conv(first, 5, { pad: 1 }), first]), net.conv(first, 3, { kernel: 1 })];
  }),
  "convolutions without padding on an input": network([3, 5, 11], (net) => [
    net.conv("x", 6),
    net.conv("x", 7, { kernel: 1 }),
    net.conv("x", 3, { group: 3 }),
    net.conv("x", 4, { kernel: 1, stride: 2 }),
  ]),
  "pools on a narrow input": network([4, 3, 3], (net) => [
    net.op("MaxPool", ["x"], { kernel_shape: ints([2, 2]) }),
    net.op("AveragePool", ["x"], { kernel_shape: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
  ]),
  "sparse and factored convolutions": network([5, 6, 6], (net) => [
    net.conv("x", 6, { deadInputs: [1, 2, 3, 4] }),
    net.conv("x", 6, { deadInputs: [0, 1, 2, 3, 4] }),
    net.conv("x", 6, { basis: 2, deadInputs: [1, 2, 4] }),
  ]),
};
