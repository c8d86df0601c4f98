import type { Graph } from "../../src/graph/types.js";
import { type NetworkName, newNetwork } from "../../src/networks/index.js";
import { efficientnetB0, mnasnet, mobilenetV3, regnetY400, shufflenetV2, squeezenet } from "./classifiers.js";
import { dbnetLike, deeplabLike, espcnLike, yoloLike } from "./others.js";

const known = (name: NetworkName, side: number, classes: number): Graph =>
  newNetwork(name, { classes, image: [3, side, side], seed: 1, metadata: new Map() });

/**
 * What people ship, with random weights: structures from the literature in the sizes in which they are used. The batch
 * is open, activations stand in the forms in which exporters write them.
 */
export const shippedNetworks = {
  resnet18: () => known("resnet18", 224, 1000),
  resnet20: () => known("resnet20", 32, 10),
  resnet56: () => known("resnet56", 32, 10),
  mobilenet_v2: () => known("mobilenet_v2", 224, 1000),
  mobilenet_v3: mobilenetV3,
  efficientnet_b0: efficientnetB0,
  shufflenet_v2: shufflenetV2,
  squeezenet: squeezenet,
  mnasnet: mnasnet,
  regnet_y_400mf: regnetY400,
  yolo_like: yoloLike,
  dbnet_like: dbnetLike,
  deeplab_like: deeplabLike,
  espcn_like: espcnLike,
} as const satisfies Readonly<Record<string, () => Graph>>;

export type ShippedName = keyof typeof shippedNetworks;

export const shippedNames = Object.keys(shippedNetworks) as readonly ShippedName[];
