import type { Graph } from "../graph/types.js";
import { ClassifierBuilder, type ConvOptions, type PoolOptions } from "./classifier_builder.js";
import { hasSmallImages, type NetworkRequest } from "./request.js";

/** A convolution with bias and Relu, and the pooling that follows it. */
interface Layer extends Omit<ConvOptions, "inputs" | "bias"> {
  readonly pool?: PoolOptions;
}

const overlapping: PoolOptions = { kernel: 3, stride: 2 };

/** The single-column form (Krizhevsky 2014) that torchvision has. */
const imagenetLayers: readonly Layer[] = [
  { outputs: 64, kernel: 11, stride: 4, pad: 2, pool: overlapping },
  { outputs: 192, kernel: 5, pool: overlapping },
  { outputs: 384 },
  { outputs: 256 },
  { outputs: 256, pool: overlapping },
];

/** The same channels for images of 32x32: smaller kernels, poolings without overlap, 4x4 positions at the end. */
const cifarLayers: readonly Layer[] = [
  { outputs: 64, pool: { kernel: 2, stride: 2 } },
  { outputs: 192, pool: { kernel: 2, stride: 2 } },
  { outputs: 384 },
  { outputs: 256 },
  { outputs: 256, pool: { kernel: 2, stride: 2 } },
];

const HIDDEN = 4096;
const DROPOUT = 0.5;

/** AlexNet (Krizhevsky et al. 2012): five convolutions without normalisation, then three linear layers. */
export function alexnet(request: NetworkRequest): Graph {
  const net = new ClassifierBuilder(request.seed, request.image);
  let [channels] = request.image;
  let x = net.images();
  const layers = hasSmallImages(request) ? cifarLayers : imagenetLayers;
  layers.forEach(({ pool, ...layer }, index) => {
    const name = `conv${index}`;
    x = net.relu(name, net.conv(name, x, { ...layer, inputs: channels, bias: true }));
    if (pool !== undefined) x = net.maxPool(x, pool);
    channels = layer.outputs;
  });
  let features = channels * net.positions(x);
  x = net.flatten(x);
  for (const name of ["hidden0", "hidden1"]) {
    x = net.relu(name, net.linear(name, net.dropout(x, DROPOUT), { inputs: features, outputs: HIDDEN }));
    features = HIDDEN;
  }
  const { classes, metadata } = request;
  return net.finish(x, { name: "alexnet", features, classes, metadata });
}
