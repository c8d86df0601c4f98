import { int } from "../../src/graph/attributes.js";
import { int64Tensor } from "../../src/graph/tensor.js";
import { finished, Layers, type ZooNetwork } from "./layers.js";

/** `transform_input`: every channel by itself, Gather - Unsqueeze - Mul - Add, then Concat. */
function transformedInput(net: Layers): string {
  const channels = [0.458, 0.448, 0.45].map((scale, channel) => {
    const index = net.b.constant("channel", int64Tensor([], [channel]));
    const plane = net.op("Gather", ["x", index], { axis: int(1) });
    const image = net.op("Unsqueeze", [plane, net.b.axes([1])]);
    return net.add(net.mul(image, net.scalar(scale)), net.scalar(-0.03 * channel));
  });
  return net.concat(channels);
}

/** GoogLeNet (Szegedy et al. 2015) as torchvision has it: ceil-mode pools, branches of 1x1, 3x3 and pooling. */
export function googlenet(): ZooNetwork {
  const net = new Layers(21, [3, 43, 43]);
  const pool = { kernel: 3, stride: 2, ceil: true };
  const inception = (x: string, width: number): string =>
    net.concat([
      net.unit(x, width, { kernel: 1 }),
      net.unit(net.unit(x, width, { kernel: 1 }), 2 * width),
      net.unit(net.unit(x, 4, { kernel: 1 }), width),
      net.unit(net.maxPool(x, { kernel: 3, stride: 1, pad: 1, ceil: true }), width, { kernel: 1 }),
    ]);
  let x = net.maxPool(net.unit(transformedInput(net), 12, { kernel: 7, stride: 2 }), pool);
  x = net.unit(net.unit(x, 12, { kernel: 1 }), 16);
  x = inception(net.maxPool(x, pool), 6);
  x = inception(net.maxPool(x, { kernel: 2, stride: 2, ceil: true }), 8);
  const features = net.op("Flatten", [net.globalPool(x)], { axis: int(1) });
  return finished(net, net.linear(net.op("Dropout", [features]), 4));
}

/** Inception v3 (Szegedy et al. 2016): 5x5, 1x7 and 7x1, 1x3 beside 3x1, average pools that count the padding. */
export function inceptionV3(): ZooNetwork {
  const net = new Layers(22, [3, 37, 37]);
  const average = (x: string): string => net.averagePool(x, { kernel: 3, stride: 1, pad: 1 });
  const blockA = (x: string): string =>
    net.concat([
      net.unit(x, 8, { kernel: 1 }),
      net.unit(net.unit(x, 6, { kernel: 1 }), 8, { kernel: 5 }),
      net.unit(net.unit(net.unit(x, 8, { kernel: 1 }), 12), 12),
      net.unit(average(x), 4, { kernel: 1 }),
    ]);
  const reduction = (x: string): string =>
    net.concat([
      net.unit(x, 12, { stride: 2, pad: 0 }),
      net.unit(net.unit(net.unit(x, 8, { kernel: 1 }), 8), 8, { stride: 2, pad: 0 }),
      net.maxPool(x, { kernel: 3, stride: 2 }),
    ]);
  const blockC = (x: string): string =>
    net.concat([
      net.unit(x, 8, { kernel: 1 }),
      net.unit(net.unit(net.unit(x, 8, { kernel: 1 }), 8, { kernel: [1, 7] }), 8, { kernel: [7, 1] }),
      net.unit(average(x), 8, { kernel: 1 }),
    ]);
  const blockE = (x: string): string => {
    const split = net.unit(x, 8, { kernel: 1 });
    const both = net.concat([net.unit(split, 8, { kernel: [1, 3] }), net.unit(split, 8, { kernel: [3, 1] })]);
    return net.concat([net.unit(x, 8, { kernel: 1 }), both, net.unit(average(x), 8, { kernel: 1 })]);
  };
  let x = net.unit(transformedInput(net), 8, { stride: 2, pad: 0 });
  x = net.maxPool(net.unit(x, 12, { pad: 0 }), { kernel: 3, stride: 2 });
  return finished(net, net.classifier(blockE(blockC(reduction(blockA(x))))));
}
