import { ClassifierBuilder } from "../src/cli/classifier_builder.js";
import { ints } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { add, slice, zeroPad } from "../src/ops/emit.js";

/** The paper's networks in their CIFAR-10 form; `bench/pytorch/networks.py` holds the same ones. */
export type NetworkName = "resnet20" | "resnet56" | "resnet18" | "vgg16";

export interface BenchmarkNetwork {
  /** Images in a batch of the benchmark. */
  readonly batch: number;
  /** The untrained network: images [N, 3, 32, 32] -> logits [N, 10]. */
  readonly build: () => Graph;
}

export const benchmarkNetworks: Readonly<Record<NetworkName, BenchmarkNetwork>> = {
  resnet20: {
    batch: 128,
    build: () => residualNetwork("resnet20", { blocks: [3, 3, 3], widths: [16, 32, 64], shortcut: "pad" }),
  },
  resnet56: {
    batch: 128,
    build: () => residualNetwork("resnet56", { blocks: [9, 9, 9], widths: [16, 32, 64], shortcut: "pad" }),
  },
  resnet18: {
    batch: 64,
    build: () =>
      residualNetwork("resnet18", {
        blocks: [2, 2, 2, 2],
        widths: [64, 128, 256, 512],
        shortcut: "projection",
      }),
  },
  vgg16: { batch: 64, build: () => vgg16() },
};

export const isBenchmarkNetwork = (name: string): name is NetworkName =>
  Object.hasOwn(benchmarkNetworks, name);

const CLASSES = 10;
const SEED = 1;

interface ResidualOptions {
  /** Blocks of each stage; all stages but the first begin with stride 2. */
  readonly blocks: readonly number[];
  /** Channels of each stage. */
  readonly widths: readonly number[];
  /** Where a block changes the shape: every second pixel and zero channels (option A), or a 1x1 convolution. */
  readonly shortcut: "pad" | "projection";
}

interface BlockOptions {
  readonly inputs: number;
  readonly outputs: number;
  readonly stride: number;
}

/** ResNet for CIFAR-10 (He et al. 2016). */
function residualNetwork(name: string, { blocks, widths, shortcut }: ResidualOptions): Graph {
  const net = new ClassifierBuilder(SEED);
  let [channels = 0] = widths;
  let x = net.convUnit("stem", net.images(), { inputs: 3, outputs: channels });
  widths.forEach((width, stage) => {
    for (let block = 0; block < (blocks[stage] ?? 0); block++) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      x = residualBlock(net, `stage${stage}.${block}`, x, shortcut, {
        inputs: channels,
        outputs: width,
        stride,
      });
      channels = width;
    }
  });
  return net.classifier(x, { name, features: channels, classes: CLASSES });
}

function residualBlock(
  net: ClassifierBuilder,
  name: string,
  x: string,
  shortcut: ResidualOptions["shortcut"],
  options: BlockOptions,
): string {
  const { inputs, outputs, stride } = options;
  const first = net.convUnit(`${name}.conv1`, x, options);
  const second = net.convNorm(`${name}.conv2`, first, { inputs: outputs, outputs });
  if (inputs === outputs && stride === 1) return net.relu(name, add(net.b, second, x));
  const carried =
    shortcut === "projection"
      ? net.convNorm(`${name}.shortcut`, x, { ...options, kernel: 1 })
      : padShortcut(net, x, options);
  return net.relu(name, add(net.b, second, carried));
}

function padShortcut(net: ClassifierBuilder, x: string, { inputs, outputs, stride }: BlockOptions): string {
  const range = { start: 0, end: Infinity, step: stride };
  const strided = slice(net.b, x, [
    { axis: 2, ...range },
    { axis: 3, ...range },
  ]);
  const pad = (outputs - inputs) / 2;
  return zeroPad(net.b, strided, [0, pad, 0, 0, 0, pad, 0, 0]);
}

/** Channels of the convolutions, and where the 2x2 poolings stand. */
const vggLayers: readonly (number | "pool")[] = [
  ...[64, 64, "pool" as const],
  ...[128, 128, "pool" as const],
  ...[256, 256, 256, "pool" as const],
  ...[512, 512, 512, "pool" as const],
  ...[512, 512, 512, "pool" as const],
];

/** VGG16 with BatchNormalization (Simonyan and Zisserman 2015) and one linear layer, as usual for CIFAR-10. */
function vgg16(): Graph {
  const net = new ClassifierBuilder(SEED);
  let channels = 3;
  let x = net.images();
  vggLayers.forEach((layer, index) => {
    if (layer === "pool") {
      x = net.b.emit("MaxPool", [x], { attributes: { kernel_shape: ints([2, 2]), strides: ints([2, 2]) } });
      return;
    }
    x = net.convUnit(`conv${index}`, x, { inputs: channels, outputs: layer, bias: true });
    channels = layer;
  });
  return net.classifier(x, { name: "vgg16", features: channels, classes: CLASSES });
}
