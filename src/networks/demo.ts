import { imagenetPreprocessing, PREPROCESSING_KEY, type Preprocessing } from "../data/preprocessing.js";
import type { Graph } from "../graph/types.js";
import { add } from "../ops/core/emit.js";
import { ClassifierBuilder } from "./classifier_builder.js";

/** What the demo's network expects of its images. */
export const demoPreprocessing: Preprocessing = {
  ...imagenetPreprocessing,
  mean: [0.5, 0.5, 0.5],
  std: [0.25, 0.25, 0.25],
};

export interface DemoNetworkOptions {
  readonly classes: number;
  readonly seed: number;
}

/**
 * A small untrained residual network: images [N, 3, 32, 32] -> logits [N, classes]. A stem of 16 channels,
 * then 32 channels at 16x16 and 64 at 8x8, each reached by a convolution of stride 2 and followed by a
 * residual block. 12.2 million multiply-accumulates for an image.
 */
export function demoNetwork({ classes, seed }: DemoNetworkOptions): Graph {
  const net = new ClassifierBuilder(seed);
  const stem = net.convUnit("stem", net.images(), { inputs: 3, outputs: 16 });
  const middle = residual(
    net,
    "block1",
    net.convUnit("down1", stem, { inputs: 16, outputs: 32, stride: 2 }),
    32,
  );
  const deep = residual(
    net,
    "block2",
    net.convUnit("down2", middle, { inputs: 32, outputs: 64, stride: 2 }),
    64,
  );
  return net.classifier(deep, {
    name: "penni_demo",
    features: 64,
    classes,
    metadata: new Map([[PREPROCESSING_KEY, JSON.stringify(demoPreprocessing)]]),
  });
}

/** relu(x + two convolutions of x), [N, channels, H, W] -> the same. */
function residual(net: ClassifierBuilder, name: string, x: string, channels: number): string {
  const options = { inputs: channels, outputs: channels };
  const first = net.convUnit(`${name}.conv1`, x, options);
  return net.relu(name, add(net.b, x, net.convNorm(`${name}.conv2`, first, options)));
}
