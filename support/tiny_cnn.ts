import { int } from "../src/graph/attributes.js";
import { scalarTensor } from "../src/graph/tensor.js";
import type { Graph, Node, Tensor } from "../src/graph/types.js";
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

/** `tinyCnn` with a node behind its first sum, a map of 8 channels, and one behind its pooling. */
export function tinyCnnWith(op: "Dropout" | "Mul", seconds: readonly [Tensor, Tensor], seed = 1): Graph {
  const plain = tinyCnn(seed);
  const places = ["Add", "Flatten"].map((kind) => plain.nodes.find((node) => node.op === kind)?.outputs[0]);
  const initializers = new Map(plain.initializers);
  const nodes = plain.nodes.flatMap((node): readonly Node[] => {
    const inputs = node.inputs.map((name) => (places.includes(name) ? `${name}/left` : name));
    const index = places.indexOf(node.outputs[0]);
    const [second, value] = [seconds[index], places[index]];
    if (second === undefined || value === undefined) return [{ ...node, inputs }];
    initializers.set(`${value}/second`, second);
    const added = { name: `${op}${index}`, op, domain: "", attributes: new Map() };
    return [
      { ...node, inputs },
      { ...added, inputs: [value, `${value}/second`], outputs: [`${value}/left`] },
    ];
  });
  return { ...plain, nodes, initializers };
}

/** `tinyCnn` that leaves out these shares of a map and of its features while it is trained. */
export function tinyDropoutCnn(map = 0.25, features = 0.5): Graph {
  return tinyCnnWith("Dropout", [scalarTensor(map), scalarTensor(features)]);
}
