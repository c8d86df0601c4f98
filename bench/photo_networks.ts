import { int } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { ClassifierBuilder } from "../src/networks/classifier_builder.js";
import { type NetworkName, newNetwork } from "../src/networks/index.js";
import { add } from "../src/ops/core/emit.js";

const SEED = 1;
const CLASSES = 1000;
const PHOTO = 224;
const FACES = 320;

/** Networks of photos' size as they are known from ImageNet and from face detection, with random weights. */
export const photoNetworks = {
  mobilenet_v2: { side: PHOTO, build: () => classifier("mobilenet_v2") },
  resnet18_224: { side: PHOTO, build: () => classifier("resnet18") },
  resnet50_224: { side: PHOTO, build: () => classifier("resnet50") },
  face_detector: { side: FACES, build: () => faceDetector() },
} as const;

export type PhotoNetworkName = keyof typeof photoNetworks;

export const isPhotoNetwork = (name: string): name is PhotoNetworkName => Object.hasOwn(photoNetworks, name);

function classifier(name: NetworkName): Graph {
  return newNetwork(name, { classes: CLASSES, image: [3, PHOTO, PHOTO], seed: SEED, metadata: new Map() });
}

/** A detector in the manner of RetinaFace with MobileNet v1 0.25: pyramid, context modules, nine outputs. */
function faceDetector(): Graph {
  const net = new ClassifierBuilder(SEED, [3, FACES, FACES]);
  const input = net.images();
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
