import { finished, Layers, type ZooNetwork } from "./layers.js";

interface BottleneckOptions {
  readonly group: number;
  /** Channels of the 3x3 convolution over those of the block's output. */
  readonly ratio: number;
}

/** ResNet of basic blocks (He et al. 2016): 7x7 stem, pool, projections where the shape changes. */
export function resnet(): ZooNetwork {
  const net = new Layers(11, [3, 32, 32]);
  const block = (x: string, width: number, stride: number): string => {
    const y = net.normalized(net.unit(x, width, { stride }), width);
    return net.relu(net.add(y, shortcut(net, x, width, stride)));
  };
  return finished(net, net.classifier(block(block(stem(net), 16, 1), 24, 2)));
}

/** ResNet of bottleneck blocks: ResNet-50, with groups ResNeXt (Xie et al. 2017), with wide middles Wide ResNet. */
export function bottleneckResnet({ group, ratio }: BottleneckOptions): ZooNetwork {
  const net = new Layers(12, [3, 32, 32]);
  const block = (x: string, width: number, stride: number): string => {
    const middle = width * ratio;
    const y = net.unit(net.unit(x, middle, { kernel: 1 }), middle, { stride, group });
    return net.relu(net.add(net.normalized(y, width, { kernel: 1 }), shortcut(net, x, width, stride)));
  };
  const first = block(stem(net), 32, 1);
  return finished(net, net.classifier(block(block(first, 32, 1), 48, 2)));
}

/** RegNet (Radosavovic et al. 2020): grouped 3x3 convolutions, in Y with Squeeze-and-Excitation. */
export function regnet(kind: "X" | "Y"): ZooNetwork {
  const net = new Layers(13, [3, 24, 24]);
  const block = (x: string, width: number): string => {
    let y = net.unit(net.unit(x, width, { kernel: 1 }), width, { stride: 2, group: width / 8 });
    if (kind === "Y")
      y = net.squeezeExcite(y, Math.round(net.channels(x) / 4), "Sigmoid", (s) => net.relu(s));
    y = net.normalized(y, width, { kernel: 1 });
    return net.relu(net.add(shortcut(net, x, width, 2), y));
  };
  const x = net.unit("x", 16, { stride: 2 });
  return finished(net, net.classifier(block(block(x, 24), 32)));
}

function stem(net: Layers): string {
  return net.maxPool(net.unit("x", 16, { kernel: 7, stride: 2 }), { kernel: 3, stride: 2, pad: 1 });
}

function shortcut(net: Layers, x: string, width: number, stride: number): string {
  const isSame = stride === 1 && net.channels(x) === width;
  return isSame ? x : net.normalized(x, width, { kernel: 1, stride });
}
