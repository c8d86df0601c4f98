import type { NetworkName } from "../../src/networks/index.js";
import { sharedPath } from "../../support/shared.js";

/** Where the network that is compressed comes from. */
export type Baseline =
  /** A trained network of `../shared`. */
  | { readonly kind: "shared"; readonly file: string }
  /** Made by `penni new` and trained by `penni train` with these options. */
  | { readonly kind: "trained"; readonly options: readonly string[] };

/** One line of the table of results: a network, compressed one way, once for each seed. */
export interface Row {
  readonly id: string;
  readonly network: NetworkName;
  /** [channels, height, width] of its images. */
  readonly image: readonly [number, number, number];
  readonly classes: number;
  /** As for --data. */
  readonly data: string;
  readonly baseline: Baseline;
  /** Options of `penni compress`. */
  readonly compress: readonly string[];
  readonly seeds: readonly number[];
  /** The best that is published, as far as we know. */
  readonly bar: string;
  readonly goal: string;
}

const cifar = {
  image: [3, 32, 32],
  classes: 10,
  data: `cifar10:${sharedPath("data/cifar10")}`,
} as const;

/** All rows, in the order of the table. */
export const rows: readonly Row[] = [
  {
    ...cifar,
    id: "resnet20-calibrated",
    network: "resnet20",
    baseline: { kind: "shared", file: "models/resnet20.onnx" },
    compress: ["--preset", "calibrate", "--target-macs", "0.58"],
    seeds: [0, 1, 2],
    bar: "no published figure without labels or training is known to us",
    goal: "none; what minutes give",
  },
];
