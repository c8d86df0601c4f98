import type { StepOptions } from "../../src/train/step.js";
import { convnext } from "./convnext.js";
import { deeplab, detector, unet } from "./dense_prediction.js";
import { caffeStyle, dynamoStyle, kerasStyle } from "./exporters.js";
import { googlenet, inceptionV3 } from "./inception.js";
import type { ZooNetwork } from "./layers.js";
import { efficientnet, mnasnet, mobilenetV2, mobilenetV3, shufflenet } from "./mobile.js";
import { alexnet, densenet, squeezenet, vgg } from "./plain.js";
import { bottleneckResnet, regnet, resnet } from "./residual.js";

/** An architecture in small, and what tests have to know of it. */
export interface ZooCase {
  readonly build: () => ZooNetwork;
  /** How its training step normalises; bench/zoo.ts tries both. */
  readonly mode: StepOptions["batchNormalization"];
  /** What it predicts; default: logits. */
  readonly outputs?: "logits" | "maps";
  /** Whether all its channels may stay, because operators that mix channels stand between all layers. */
  readonly isWalled?: boolean;
}

/** One network of each family, by name. */
export const zoo: Readonly<Record<string, ZooCase>> = {
  AlexNet: { build: alexnet, mode: "frozen" },
  VGG: { build: () => vgg(false), mode: "frozen" },
  "VGG with BatchNormalization": { build: () => vgg(true), mode: "batch" },
  SqueezeNet: { build: squeezenet, mode: "frozen" },
  DenseNet: { build: densenet, mode: "batch" },
  ResNet: { build: resnet, mode: "batch" },
  "ResNet of bottlenecks": { build: () => bottleneckResnet({ group: 1, ratio: 1 / 2 }), mode: "frozen" },
  ResNeXt: { build: () => bottleneckResnet({ group: 4, ratio: 1 }), mode: "batch" },
  "Wide ResNet": { build: () => bottleneckResnet({ group: 1, ratio: 1 }), mode: "frozen" },
  GoogLeNet: { build: googlenet, mode: "batch" },
  "Inception v3": { build: inceptionV3, mode: "frozen" },
  "ShuffleNet v2": { build: shufflenet, mode: "batch" },
  "MobileNet v2": { build: mobilenetV2, mode: "frozen" },
  "MobileNet v3": { build: mobilenetV3, mode: "batch" },
  MNASNet: { build: mnasnet, mode: "frozen" },
  EfficientNet: { build: efficientnet, mode: "batch" },
  "RegNet X": { build: () => regnet("X"), mode: "frozen" },
  "RegNet Y": { build: () => regnet("Y"), mode: "batch" },
  ConvNeXt: { build: () => convnext("steps"), mode: "frozen", isWalled: true },
  "ConvNeXt with LayerNormalization": { build: () => convnext("operator"), mode: "frozen", isWalled: true },
  "U-Net with ConvTranspose": { build: () => unet("transpose"), mode: "frozen", outputs: "maps" },
  "U-Net with Resize by scales": { build: () => unet("nearest"), mode: "frozen", outputs: "maps" },
  "U-Net with Resize to sizes": { build: () => unet("bilinear"), mode: "frozen", outputs: "maps" },
  DeepLab: { build: deeplab, mode: "frozen", outputs: "maps" },
  "single-shot detector": { build: detector, mode: "batch", outputs: "maps" },
  "Keras network from tf2onnx": { build: kerasStyle, mode: "batch" },
  "network from torch.export": { build: dynamoStyle, mode: "frozen" },
  "network from Caffe": { build: caffeStyle, mode: "frozen" },
};
