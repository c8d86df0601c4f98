import type { Graph } from "../graph/types.js";
import { add } from "../ops/core/emit.js";
import { ClassifierBuilder, type ConvOptions } from "./classifier_builder.js";
import { hasSmallImages, type NetworkRequest } from "./request.js";

interface Stage {
  /** Channels inside a block, as a multiple of those that come in. */
  readonly expansion: number;
  readonly outputs: number;
  readonly blocks: number;
  /** Of the first block. */
  readonly stride: number;
  /** The same for images of 32x32, where it differs. */
  readonly smallStride?: number;
}

/** Sandler et al. 2018, table 2. */
const stages: readonly Stage[] = [
  { expansion: 1, outputs: 16, blocks: 1, stride: 1 },
  { expansion: 6, outputs: 24, blocks: 2, stride: 2, smallStride: 1 },
  { expansion: 6, outputs: 32, blocks: 3, stride: 2 },
  { expansion: 6, outputs: 64, blocks: 4, stride: 2 },
  { expansion: 6, outputs: 96, blocks: 3, stride: 1 },
  { expansion: 6, outputs: 160, blocks: 3, stride: 2 },
  { expansion: 6, outputs: 320, blocks: 1, stride: 1 },
];

const STEM = 32;
const LAST = 1280;

/** MobileNet v2 (Sandler et al. 2018); for small images its first two strides are 1, as usual for CIFAR-10. */
export function mobilenetV2(request: NetworkRequest): Graph {
  const net = new ClassifierBuilder(request.seed, request.image);
  const isSmall = hasSmallImages(request);
  const [inputs] = request.image;
  let x = unit(net, "stem", net.images(), { inputs, outputs: STEM, stride: isSmall ? 1 : 2 });
  let channels = STEM;
  stages.forEach(({ expansion, outputs, blocks, stride, smallStride = stride }, stage) => {
    for (let block = 0; block < blocks; block++) {
      const first = isSmall ? smallStride : stride;
      const options = { inputs: channels, outputs, expansion, stride: block === 0 ? first : 1 };
      x = invertedResidual(net, `stage${stage}.${block}`, x, options);
      channels = outputs;
    }
  });
  x = unit(net, "last", x, { inputs: channels, outputs: LAST, kernel: 1 });
  const { classes, metadata } = request;
  return net.classifier(x, { name: "mobilenet_v2", features: LAST, classes, metadata });
}

/** Conv - BatchNormalization - ReLU6. */
function unit(net: ClassifierBuilder, name: string, x: string, options: ConvOptions): string {
  return net.relu6(name, net.convNorm(name, x, options));
}

/** Widen (1x1), filter each channel (3x3), narrow (1x1, no activation); the sum with x where the shape stays. */
function invertedResidual(
  net: ClassifierBuilder,
  name: string,
  x: string,
  {
    inputs,
    outputs,
    expansion,
    stride,
  }: { inputs: number; outputs: number; expansion: number; stride: number },
): string {
  const width = expansion * inputs;
  const wide = expansion === 1 ? x : unit(net, `${name}.expand`, x, { inputs, outputs: width, kernel: 1 });
  const filtered = unit(net, `${name}.depthwise`, wide, {
    inputs: width,
    outputs: width,
    stride,
    groups: width,
  });
  const narrow = net.convNorm(`${name}.project`, filtered, { inputs: width, outputs, kernel: 1 });
  return inputs === outputs && stride === 1 ? add(net.b, x, narrow) : narrow;
}
