import { int, ints } from "../src/graph/attributes.js";
import { withInitializers } from "../src/graph/edit.js";
import { float32Data, float32Tensor } from "../src/graph/tensor.js";
import type { ElementType, Graph, Node, Shape } from "../src/graph/types.js";
import { node } from "./small_models.js";

/** The same network with another input in front of it. */
function behind(graph: Graph, shape: Shape, elementType: ElementType, nodes: readonly Node[]): Graph {
  return {
    ...graph,
    inputs: [{ name: "picture", type: { elementType, shape } }],
    nodes: [...nodes, ...graph.nodes],
  };
}

/** Pixel by pixel, as tf2onnx writes networks: its input is [batch, height, width, channels]. */
export function pixelwise(graph: Graph): Graph {
  const [batch, channels, height, width] = graph.inputs[0]?.type?.shape ?? [];
  const input = graph.inputs[0]?.name ?? "";
  return behind(graph, [batch, height, width, channels], "float32", [
    node("Transpose", ["picture"], input, { perm: ints([0, 3, 1, 2]) }),
  ]);
}

/** Pixel by pixel and whole levels, of which the network makes what it was trained on: levels / 255. */
export function fromLevels(graph: Graph): Graph {
  const [batch, channels, height, width] = graph.inputs[0]?.type?.shape ?? [];
  const input = graph.inputs[0]?.name ?? "";
  const nodes = [
    node("Transpose", ["picture"], "planes", { perm: ints([0, 3, 1, 2]) }),
    node("Cast", ["planes"], "levels", { to: int(1) }),
    node("Mul", ["levels", "level"], input),
  ];
  const network = behind(graph, [batch, height, width, channels], "uint8", nodes);
  return withInitializers(network, [["level", float32Tensor([1], [1 / 255])]]);
}

/** The first convolution's weight [K, 3, R, S] with other numbers. */
function withFirstWeight(
  graph: Graph,
  change: (value: (channel: number) => number, channel: number) => number,
) {
  const name = graph.nodes.find(({ op }) => op === "Conv")?.inputs[1] ?? "";
  const tensor = graph.initializers.get(name);
  if (tensor === undefined) throw new Error("the network has no convolution");
  const [, channels = 1, rows = 1, columns = 1] = tensor.dims;
  const kernel = rows * columns;
  const old = float32Data(tensor);
  const changed = Float32Array.from(old, (_, index) => {
    const channel = Math.floor(index / kernel) % channels;
    return change((other) => old[index + (other - channel) * kernel] ?? 0, channel);
  });
  return withInitializers(graph, [[name, float32Tensor(tensor.dims, changed)]]);
}

/** For channels in the order blue, green, red. */
export function blueFirst(graph: Graph): Graph {
  return withFirstWeight(graph, (value, channel) => value(2 - channel));
}

/** For inputs so many times as large. */
export function forScale(graph: Graph, factor: number): Graph {
  return withFirstWeight(graph, (value, channel) => value(channel) / factor);
}
