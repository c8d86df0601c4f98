import type { Graph } from "../src/graph/types.js";
import { type NetworkName as AnyNetwork, newNetwork } from "../src/networks/index.js";

/** The paper's networks in their CIFAR-10 form; `bench/pytorch/networks.py` holds the same ones. */
export type NetworkName = Extract<AnyNetwork, "resnet20" | "resnet56" | "resnet18" | "vgg16">;

export interface BenchmarkNetwork {
  /** Images in a batch of the benchmark. */
  readonly batch: number;
  /** The untrained network: images [N, 3, 32, 32] -> logits [N, 10]. */
  readonly build: () => Graph;
}

const untrained = (name: NetworkName) => (): Graph =>
  newNetwork(name, { classes: 10, image: [3, 32, 32], seed: 1, metadata: new Map() });

export const benchmarkNetworks: Readonly<Record<NetworkName, BenchmarkNetwork>> = {
  resnet20: { batch: 128, build: untrained("resnet20") },
  resnet56: { batch: 128, build: untrained("resnet56") },
  resnet18: { batch: 64, build: untrained("resnet18") },
  vgg16: { batch: 64, build: untrained("vgg16") },
};

export const isBenchmarkNetwork = (name: string): name is NetworkName =>
  Object.hasOwn(benchmarkNetworks, name);
