import { int } from "../../src/graph/attributes.js";
import { finished, Layers, type ZooNetwork } from "./layers.js";

/** AlexNet (Krizhevsky 2014): an 11x11 kernel of stride 4, 5x5 kernels, overlapping pools, Dropout, three linear layers. */
export function alexnet(): ZooNetwork {
  const net = new Layers(1, [3, 47, 47]);
  const pool = { kernel: 3, stride: 2 };
  let x = net.relu(net.layer("x", 8, { kernel: 11, stride: 4, pad: 2, bias: true }));
  x = net.relu(net.layer(net.maxPool(x, pool), 12, { kernel: 5, bias: true }));
  x = net.relu(net.layer(net.maxPool(x, pool), 16, { bias: true }));
  x = net.relu(net.layer(x, 12, { bias: true }));
  x = net.op("Flatten", [x], { axis: int(1) });
  x = net.relu(net.linear(net.op("Dropout", [x]), 16));
  x = net.relu(net.linear(net.op("Dropout", [x]), 12));
  return finished(net, net.linear(x, 4));
}

/** VGG (Simonyan and Zisserman 2015), with BatchNormalization behind convolutions that have biases, or without. */
export function vgg(normalization: boolean): ZooNetwork {
  const net = new Layers(2, [3, 16, 16]);
  let x = "x";
  for (const width of [8, 12, 16]) {
    for (let layer = 0; layer < 2; layer++) {
      const y = net.layer(x, width, { bias: true });
      x = net.relu(normalization ? net.batchNorm(y) : y);
    }
    x = net.maxPool(x, { kernel: 2, stride: 2 });
  }
  x = net.relu(net.linear(net.op("Flatten", [x], { axis: int(1) }), 12));
  return finished(net, net.linear(net.op("Dropout", [x]), 4));
}

/** SqueezeNet 1.0 (Iandola et al. 2016): fire modules, ceil-mode pools, a classifier that is a convolution. */
export function squeezenet(): ZooNetwork {
  const net = new Layers(3, [3, 31, 31]);
  const pool = { kernel: 3, stride: 2, ceil: true };
  const fire = (x: string, squeezed: number, expanded: number): string => {
    const s = net.relu(net.layer(x, squeezed, { kernel: 1, bias: true }));
    const one = net.relu(net.layer(s, expanded, { kernel: 1, bias: true }));
    return net.concat([one, net.relu(net.layer(s, expanded, { bias: true }))]);
  };
  let x = net.relu(net.layer("x", 12, { kernel: 7, stride: 2, pad: 0, bias: true }));
  x = fire(net.maxPool(x, pool), 4, 8);
  x = fire(net.maxPool(x, pool), 6, 8);
  x = net.relu(net.layer(net.op("Dropout", [x]), 4, { kernel: 1, bias: true }));
  return finished(net, net.op("Flatten", [net.globalPool(x)], { axis: int(1) }));
}

/** DenseNet (Huang et al. 2017): pre-activation, every layer reads the Concat of all before, transitions halve. */
export function densenet(): ZooNetwork {
  const net = new Layers(4, [3, 24, 24]);
  const growth = 8;
  const dense = (features: readonly string[]): string => {
    const all = net.concat(features);
    const bottleneck = net.unit(net.relu(net.batchNorm(all)), 2 * growth, { kernel: 1 });
    return net.layer(bottleneck, growth);
  };
  const block = (x: string): string => {
    const first = dense([x]);
    const second = dense([x, first]);
    return net.concat([x, first, second]);
  };
  let x = net.unit("x", 16, { kernel: 7, stride: 2 });
  x = block(net.maxPool(x, { kernel: 3, stride: 2, pad: 1 }));
  x = net.layer(net.relu(net.batchNorm(x)), net.channels(x) / 2, { kernel: 1 });
  x = block(net.op("AveragePool", [x], averageByTwo));
  return finished(net, net.classifier(net.relu(net.batchNorm(x))));
}

const averageByTwo = {
  kernel_shape: { kind: "ints", value: [2n, 2n] },
  strides: { kind: "ints", value: [2n, 2n] },
} as const;
