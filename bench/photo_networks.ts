import { ClassifierBuilder } from "../src/cli/classifier_builder.js";
import { int, ints } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { add } from "../src/ops/emit.js";

/** Networks of photos' size as they are known from ImageNet and from face detection, with random weights. */
export const photoNetworks = {
  mobilenet_v2: { side: 224, build: () => mobileNetV2() },
  resnet18_224: { side: 224, build: () => residual("resnet18", basicBlock, [2, 2, 2, 2], 1) },
  resnet50_224: { side: 224, build: () => residual("resnet50", bottleneck, [3, 4, 6, 3], 4) },
  face_detector: { side: 320, build: () => faceDetector() },
} as const;

export type PhotoNetworkName = keyof typeof photoNetworks;

export const isPhotoNetwork = (name: string): name is PhotoNetworkName => Object.hasOwn(photoNetworks, name);

const SEED = 1;
const CLASSES = 1000;

interface Unit {
  readonly inputs: number;
  readonly width: number;
  readonly stride: number;
}

type Block = (net: ClassifierBuilder, name: string, x: string, unit: Unit) => string;

/** ResNet for ImageNet (He et al. 2016), the stride at the 3x3 convolution as torchvision has it. */
function residual(name: string, block: Block, blocks: readonly number[], expansion: number): Graph {
  const net = new ClassifierBuilder(SEED);
  const stem = net.convUnit("stem", net.images(224), { inputs: 3, outputs: 64, kernel: 7, stride: 2 });
  let x = net.b.emit("MaxPool", [stem], {
    attributes: { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) },
  });
  let inputs = 64;
  blocks.forEach((count, stage) => {
    const width = 64 * 2 ** stage;
    for (let index = 0; index < count; index++) {
      const stride = stage > 0 && index === 0 ? 2 : 1;
      x = block(net, `stage${stage}.${index}`, x, { inputs, width, stride });
      inputs = width * expansion;
    }
  });
  return net.classifier(x, { name, features: inputs, classes: CLASSES });
}

function basicBlock(
  net: ClassifierBuilder,
  name: string,
  x: string,
  { inputs, width, stride }: Unit,
): string {
  const first = net.convUnit(`${name}.conv1`, x, { inputs, outputs: width, stride });
  const second = net.convNorm(`${name}.conv2`, first, { inputs: width, outputs: width });
  return joined(net, name, second, x, { inputs, outputs: width, stride });
}

function bottleneck(
  net: ClassifierBuilder,
  name: string,
  x: string,
  { inputs, width, stride }: Unit,
): string {
  const first = net.convUnit(`${name}.conv1`, x, { inputs, outputs: width, kernel: 1 });
  const second = net.convUnit(`${name}.conv2`, first, { inputs: width, outputs: width, stride });
  const outputs = 4 * width;
  const third = net.convNorm(`${name}.conv3`, second, { inputs: width, outputs, kernel: 1 });
  return joined(net, name, third, x, { inputs, outputs, stride });
}

function joined(
  net: ClassifierBuilder,
  name: string,
  result: string,
  x: string,
  shape: { readonly inputs: number; readonly outputs: number; readonly stride: number },
): string {
  const same = shape.inputs === shape.outputs && shape.stride === 1;
  const carried = same ? x : net.convNorm(`${name}.shortcut`, x, { ...shape, kernel: 1 });
  return net.relu(name, add(net.b, result, carried));
}

/** Expansion, channels, blocks and first stride of each stage (Sandler et al. 2018, table 2). */
const mobileStages: readonly (readonly [number, number, number, number])[] = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
];

function mobileNetV2(): Graph {
  const net = new ClassifierBuilder(SEED);
  let inputs = 32;
  let x = net.convUnit("stem", net.images(224), { inputs: 3, outputs: inputs, stride: 2 });
  mobileStages.forEach(([expansion, outputs, count, first], stage) => {
    for (let index = 0; index < count; index++) {
      const stride = index === 0 ? first : 1;
      x = invertedResidual(net, `stage${stage}.${index}`, x, { inputs, outputs, expansion, stride });
      inputs = outputs;
    }
  });
  const features = 1280;
  const last = net.convUnit("last", x, { inputs, outputs: features, kernel: 1 });
  return net.classifier(last, { name: "mobilenet_v2", features, classes: CLASSES });
}

function invertedResidual(
  net: ClassifierBuilder,
  name: string,
  x: string,
  {
    inputs,
    outputs,
    expansion,
    stride,
  }: {
    readonly inputs: number;
    readonly outputs: number;
    readonly expansion: number;
    readonly stride: number;
  },
): string {
  const width = inputs * expansion;
  const wide = expansion === 1 ? x : net.convUnit(`${name}.expand`, x, { inputs, outputs: width, kernel: 1 });
  const deep = net.convUnit(`${name}.depth`, wide, { inputs: width, outputs: width, stride, groups: width });
  const narrow = net.convNorm(`${name}.project`, deep, { inputs: width, outputs, kernel: 1 });
  return stride === 1 && inputs === outputs ? add(net.b, narrow, x) : narrow;
}

/** A detector in the manner of RetinaFace with MobileNet v1 0.25: pyramid, context modules, nine outputs. */
function faceDetector(): Graph {
  const net = new ClassifierBuilder(SEED);
  const input = net.images(320);
  let inputs = 8;
  let x = net.convUnit("stem", input, { inputs: 3, outputs: inputs, stride: 2 });
  const levels: { readonly x: string; readonly channels: number }[] = [];
  const separable: readonly (readonly [number, number])[] = [
    ...([16, 32, 32, 64, 64] as const).map((outputs, index) => [outputs, index % 2 === 1 ? 2 : 1] as const),
    ...[
      [128, 2],
      [128, 1],
      [128, 1],
      [128, 1],
      [128, 1],
      [128, 1],
      [256, 2],
      [256, 1],
    ].map(([outputs = 0, stride = 1]) => [outputs, stride] as const),
  ];
  separable.forEach(([outputs, stride], index) => {
    const deep = net.convUnit(`backbone${index}.depth`, x, {
      inputs,
      outputs: inputs,
      stride,
      groups: inputs,
    });
    x = net.convUnit(`backbone${index}.point`, deep, { inputs, outputs, kernel: 1 });
    inputs = outputs;
    if ([4, 10, 12].includes(index)) levels.push({ x, channels: outputs });
  });
  const width = 64;
  const pyramid = levels.map(({ x: level, channels }, index) =>
    net.convUnit(`lateral${index}`, level, { inputs: channels, outputs: width, kernel: 1 }),
  );
  for (let index = pyramid.length - 2; index >= 0; index--) {
    const sizes = net.b.floats(`scales${index}`, [4], Float32Array.of(1, 1, 2, 2));
    const up = net.b.emit("Resize", [pyramid[index + 1] ?? "", "", sizes], {});
    const merged = add(net.b, pyramid[index] ?? "", up);
    pyramid[index] = net.convUnit(`merge${index}`, merged, { inputs: width, outputs: width });
  }
  const outputs = pyramid.flatMap((level, index) => heads(net, `head${index}`, level, width));
  const graph = net.classifier(x, { name: "face_detector", features: inputs, classes: 2 });
  return { ...graph, outputs: outputs.map((name) => ({ name, type: net.b.types.get(name) })) };
}

/** A context module (3x3, 5x5 and 7x7 fields by chains of 3x3) and three heads. */
function heads(net: ClassifierBuilder, name: string, x: string, width: number): readonly string[] {
  const [half, quarter] = [width / 2, width / 4];
  const near = net.convNorm(`${name}.near`, x, { inputs: width, outputs: half });
  const first = net.convUnit(`${name}.c1`, x, { inputs: width, outputs: quarter });
  const middle = net.convNorm(`${name}.c2`, first, { inputs: quarter, outputs: quarter });
  const second = net.convUnit(`${name}.c3`, first, { inputs: quarter, outputs: quarter });
  const far = net.convNorm(`${name}.c4`, second, { inputs: quarter, outputs: quarter });
  const joint = net.b.emit("Concat", [near, middle, far], { attributes: { axis: int(1) } });
  const context = net.relu(name, joint);
  return [4, 8, 20].map((outputs) =>
    net.convNorm(`${name}.out${outputs}`, context, { inputs: width, outputs, kernel: 1 }),
  );
}
