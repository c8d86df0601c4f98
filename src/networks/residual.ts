import { at } from "../graph/at.js";
import type { Graph } from "../graph/types.js";
import { add, slice, zeroPad } from "../ops/core/emit.js";
import { ClassifierBuilder } from "./classifier_builder.js";
import { hasSmallImages, type NetworkRequest } from "./request.js";

interface ResidualOptions {
  readonly name: string;
  /** Blocks of each stage; all stages but the first begin with stride 2. */
  readonly blocks: readonly number[];
  /** Channels of each stage, inside a bottleneck. */
  readonly widths: readonly number[];
  /** Where a block changes the shape: every second pixel and zero channels (option A), or a 1x1 convolution. */
  readonly shortcut: "pad" | "projection";
  readonly block: "basic" | "bottleneck";
}

interface BlockOptions {
  readonly inputs: number;
  /** Channels inside. */
  readonly width: number;
  readonly stride: number;
}

/** Writes the layers of one block's branch and says how many channels come out. */
interface Block {
  readonly expansion: number;
  branch(net: ClassifierBuilder, name: string, x: string, options: BlockOptions): string;
}

const blockForms: Readonly<Record<ResidualOptions["block"], Block>> = {
  basic: {
    expansion: 1,
    branch: (net, name, x, { inputs, width, stride }) => {
      const first = net.convUnit(`${name}.conv1`, x, { inputs, outputs: width, stride });
      return net.convNorm(`${name}.conv2`, first, { inputs: width, outputs: width });
    },
  },
  // The stride in the 3x3 convolution, as torchvision has it.
  bottleneck: {
    expansion: 4,
    branch: (net, name, x, { inputs, width, stride }) => {
      const first = net.convUnit(`${name}.conv1`, x, { inputs, outputs: width, kernel: 1 });
      const second = net.convUnit(`${name}.conv2`, first, { inputs: width, outputs: width, stride });
      return net.convNorm(`${name}.conv3`, second, { inputs: width, outputs: 4 * width, kernel: 1 });
    },
  },
};

/** ResNet-(6n + 2) for small images (He et al. 2016, section 4.2): 16, 32 and 64 channels, shortcuts without parameters. */
export function smallResnet(name: string, n: number): (request: NetworkRequest) => Graph {
  const blocks = [n, n, n];
  return (request) =>
    residualNetwork(request, { name, blocks, widths: [16, 32, 64], shortcut: "pad", block: "basic" });
}

/**
 * ResNet with 64, 128, 256 and 512 channels (He et al. 2016, table 1): for small images with a 3x3 stem and no pooling
 * (the usual CIFAR form), for others as for ImageNet.
 */
export function resnet(
  name: string,
  blocks: readonly number[],
  block: ResidualOptions["block"],
): (request: NetworkRequest) => Graph {
  return (request) =>
    residualNetwork(request, { name, blocks, widths: [64, 128, 256, 512], shortcut: "projection", block });
}

function residualNetwork(request: NetworkRequest, options: ResidualOptions): Graph {
  const { name, blocks, widths, block } = options;
  const net = new ClassifierBuilder(request.seed, request.image);
  const { expansion } = blockForms[block];
  let { x, channels } = stem(net, request, options);
  widths.forEach((width, stage) => {
    for (let index = 0; index < at(blocks, stage); index++) {
      const stride = stage > 0 && index === 0 ? 2 : 1;
      x = residualBlock(net, `stage${stage}.${index}`, x, options, { inputs: channels, width, stride });
      channels = expansion * width;
    }
  });
  const { classes, metadata } = request;
  return net.classifier(x, { name, features: channels, classes, metadata });
}

function stem(
  net: ClassifierBuilder,
  request: NetworkRequest,
  { widths, shortcut }: ResidualOptions,
): { x: string; channels: number } {
  const [inputs] = request.image;
  const outputs = at(widths, 0);
  const images = net.images();
  if (shortcut === "pad" || hasSmallImages(request))
    return { x: net.convUnit("stem", images, { inputs, outputs }), channels: outputs };
  const first = net.convUnit("stem", images, { inputs, outputs, kernel: 7, stride: 2 });
  return { x: net.maxPool(first, { kernel: 3, stride: 2, pad: 1 }), channels: outputs };
}

function residualBlock(
  net: ClassifierBuilder,
  name: string,
  x: string,
  { shortcut, block }: ResidualOptions,
  options: BlockOptions,
): string {
  const { expansion, branch } = blockForms[block];
  const { inputs, width, stride } = options;
  const outputs = expansion * width;
  const result = branch(net, name, x, options);
  if (inputs === outputs && stride === 1) return net.relu(name, add(net.b, result, x));
  const carried =
    shortcut === "projection"
      ? net.convNorm(`${name}.shortcut`, x, { inputs, outputs, stride, kernel: 1 })
      : padShortcut(net, x, { inputs, outputs, stride });
  return net.relu(name, add(net.b, result, carried));
}

function padShortcut(
  net: ClassifierBuilder,
  x: string,
  { inputs, outputs, stride }: { inputs: number; outputs: number; stride: number },
): string {
  const range = { start: 0, end: Infinity, step: stride };
  const strided = slice(net.b, x, [
    { axis: 2, ...range },
    { axis: 3, ...range },
  ]);
  const pad = (outputs - inputs) / 2;
  return zeroPad(net.b, strided, [0, pad, 0, 0, 0, pad, 0, 0]);
}
