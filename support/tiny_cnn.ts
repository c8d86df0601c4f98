import { int } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { Network } from "./network.js";

/** Height and width of the images that `tinyCnn` takes. */
export const TINY_SIZE = 16;

/**
 * A random residual CNN for RGB images of 16x16 pixels in ten classes, small enough to train for seconds:
 * three 3x3 convolutions (8, 8 and 12 channels), one 1x1, each but the last with BatchNormalization.
 */
export function tinyCnn(seed = 1): Graph {
  const net = new Network(seed, [3, TINY_SIZE, TINY_SIZE]);
  const stem = net.relu(net.norm(net.conv("x", 8, { pad: 1 })));
  const inner = net.norm(net.conv(stem, 8, { pad: 1 }));
  const sum = net.relu(net.op("Add", [inner, stem]));
  const down = net.relu(net.norm(net.conv(sum, 12, { pad: 1, stride: 2 })));
  const mixed = net.relu(net.conv(down, 12, { kernel: 1, bias: true }));
  const pooled = net.op("Flatten", [net.op("GlobalAveragePool", [mixed])], { axis: int(1) });
  return net.graph([net.gemm(pooled, 10)]);
}
