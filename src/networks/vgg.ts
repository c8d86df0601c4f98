import type { Graph } from "../graph/types.js";
import { ClassifierBuilder } from "./classifier_builder.js";
import type { NetworkRequest } from "./request.js";

/** Channels of the convolutions, and where the 2x2 poolings stand. */
const layers: readonly (number | "pool")[] = [
  ...[64, 64, "pool" as const],
  ...[128, 128, "pool" as const],
  ...[256, 256, 256, "pool" as const],
  ...[512, 512, 512, "pool" as const],
  ...[512, 512, 512, "pool" as const],
];

/** VGG16 with BatchNormalization (Simonyan and Zisserman 2015) and one linear layer, as usual for CIFAR-10. */
export function vgg16(request: NetworkRequest): Graph {
  const net = new ClassifierBuilder(request.seed, request.image);
  let [channels] = request.image;
  let x = net.images();
  layers.forEach((layer, index) => {
    if (layer === "pool") {
      x = net.maxPool(x, { kernel: 2, stride: 2 });
      return;
    }
    x = net.convUnit(`conv${index}`, x, { inputs: channels, outputs: layer, bias: true });
    channels = layer;
  });
  const { classes, metadata } = request;
  return net.classifier(x, { name: "vgg16", features: channels, classes, metadata });
}
