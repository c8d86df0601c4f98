import { int, ints } from "../../src/graph/attributes.js";
import { finished, type LayerOptions, Layers, type ZooNetwork } from "./layers.js";

/** An inverted residual block (Sandler et al. 2018). */
interface InvertedOptions {
  readonly outputs: number;
  readonly expansion: number;
  readonly kernel?: number;
  readonly stride?: number;
  /** Before the projection. */
  readonly excite?: (x: string) => string;
  readonly activate: (x: string) => string;
}

function inverted(net: Layers, x: string, options: InvertedOptions): string {
  const { outputs, expansion, kernel = 3, stride = 1, excite, activate } = options;
  const inputs = net.channels(x);
  const width = inputs * expansion;
  const expanded = expansion === 1 ? x : activate(net.normalized(x, width, { kernel: 1 }));
  const depthwise: LayerOptions = { kernel, stride, group: width };
  const y = activate(net.normalized(expanded, width, depthwise));
  const projected = net.normalized(excite === undefined ? y : excite(y), outputs, { kernel: 1 });
  return inputs === outputs && stride === 1 ? net.add(x, projected) : projected;
}

/** MobileNet v2 (Sandler et al. 2018): Relu6 as Clip, linear bottlenecks. */
export function mobilenetV2(): ZooNetwork {
  const net = new Layers(31, [3, 24, 24]);
  const activate = (x: string): string => net.op("Clip", [x, net.scalar(0), net.scalar(6)]);
  let x = activate(net.normalized("x", 16, { stride: 2 }));
  x = inverted(net, x, { outputs: 8, expansion: 1, activate });
  x = inverted(net, x, { outputs: 12, expansion: 4, stride: 2, activate });
  x = inverted(net, x, { outputs: 12, expansion: 4, activate });
  return finished(net, net.classifier(activate(net.normalized(x, 32, { kernel: 1 }))));
}

/** MobileNet v3 (Howard et al. 2019): HardSwish, Squeeze-and-Excitation behind a HardSigmoid, 5x5 kernels. */
export function mobilenetV3(): ZooNetwork {
  const net = new Layers(32, [3, 24, 24]);
  const activate = (x: string): string => net.op("HardSwish", [x]);
  const relu = (x: string): string => net.relu(x);
  const excite = (x: string): string => net.squeezeExcite(x, 8, "HardSigmoid", relu);
  let x = activate(net.normalized("x", 16, { stride: 2 }));
  x = inverted(net, x, { outputs: 16, expansion: 1, stride: 2, excite, activate: relu });
  x = inverted(net, x, { outputs: 12, expansion: 2, kernel: 5, excite, activate });
  x = inverted(net, x, { outputs: 12, expansion: 3, kernel: 5, excite, activate });
  x = net.globalPool(activate(net.normalized(x, 24, { kernel: 1 })));
  const features = activate(net.linear(net.op("Flatten", [x], { axis: int(1) }), 16));
  return finished(net, net.linear(features, 4));
}

/** MNASNet (Tan et al. 2019): separable stem, 5x5 depthwise kernels, pooling as ReduceMean without its axes. */
export function mnasnet(): ZooNetwork {
  const net = new Layers(33, [3, 24, 24]);
  const activate = (x: string): string => net.relu(x);
  let x = net.unit("x", 16, { stride: 2 });
  x = net.normalized(net.unit(x, 16, { group: 16 }), 8, { kernel: 1 });
  x = inverted(net, x, { outputs: 12, expansion: 3, kernel: 5, stride: 2, activate });
  x = inverted(net, x, { outputs: 12, expansion: 3, kernel: 5, activate });
  x = net.unit(x, 24, { kernel: 1 });
  const features = net.op("ReduceMean", [x], { axes: ints([2, 3]), keepdims: int(0) });
  return finished(net, net.linear(net.op("Dropout", [features]), 4));
}

/** EfficientNet (Tan and Le 2019), and the fused blocks of v2: SiLU, Squeeze-and-Excitation behind a Sigmoid. */
export function efficientnet(): ZooNetwork {
  const net = new Layers(34, [3, 24, 24]);
  const activate = (x: string): string => net.silu(x);
  const excite = (x: string): string => net.squeezeExcite(x, 4, "Sigmoid", activate);
  let x = activate(net.normalized("x", 16, { stride: 2 }));
  const fused = activate(net.normalized(x, 32));
  x = net.add(x, net.normalized(fused, 16, { kernel: 1 }));
  x = inverted(net, x, { outputs: 12, expansion: 3, kernel: 5, stride: 2, excite, activate });
  x = inverted(net, x, { outputs: 12, expansion: 3, excite, activate });
  return finished(net, net.classifier(activate(net.normalized(x, 24, { kernel: 1 }))));
}

/** ShuffleNet v2 (Ma et al. 2018): channels are split, one half is convolved, both are shuffled. */
export function shufflenet(): ZooNetwork {
  const net = new Layers(35, [3, 32, 32]);
  const branch = (x: string, width: number, stride: number): string => {
    const y = net.normalized(net.unit(x, width, { kernel: 1 }), width, { stride, group: width });
    return net.unit(y, width, { kernel: 1 });
  };
  const shuffle = (x: string, size: number): string => {
    const channels = net.channels(x);
    const grouped = net.transpose(net.view(x, [2, channels / 2, size, size]), [0, 2, 1, 3, 4]);
    return net.view(grouped, [channels, size, size]);
  };
  const down = (x: string, width: number, size: number): string => {
    const kept = net.normalized(x, net.channels(x), { stride: 2, group: net.channels(x) });
    return shuffle(net.concat([net.unit(kept, width, { kernel: 1 }), branch(x, width, 2)]), size);
  };
  const unit = (x: string, size: number): string => {
    const half = net.channels(x) / 2;
    const [kept = "", convolved = ""] = net.split(x, [half, half]);
    return shuffle(net.concat([kept, branch(convolved, half, 1)]), size);
  };
  let x = net.maxPool(net.unit("x", 12, { stride: 2 }), { kernel: 3, stride: 2, pad: 1 });
  x = unit(unit(down(x, 8, 4), 4), 4);
  const last = net.unit(down(x, 12, 2), 24, { kernel: 1 });
  const features = net.op("ReduceMean", [last], { axes: ints([2, 3]), keepdims: int(0) });
  return finished(net, net.linear(features, 4));
}
