import { PenniError } from "../../src/graph/errors.js";
import type { NetworkName } from "../../src/networks/index.js";
import { sharedPath } from "../../support/shared.js";

/** Options of one `penni train` after the other. */
type Trainings = readonly (readonly string[])[];

/** Where the network that is compressed comes from. */
export type Origin =
  /** A trained network of `../shared`, which is the baseline. */
  | { readonly kind: "shared"; readonly file: string }
  /** Made by `penni new` and trained: the baseline. */
  | { readonly kind: "trained"; readonly trainings: Trainings }
  /** What another row has on record, trained as a dense network. The baseline is that row's. */
  | {
      readonly kind: "compressed";
      readonly row: string;
      readonly seed: number;
      readonly trainings: Trainings;
    };

/** The folder of its last training. */
export function trainingName(kind: "trained" | "compressed"): string {
  return kind === "trained" ? "baseline" : "dense";
}

/** One line of the table of results: a network, compressed one way, once for each seed. */
export interface Row {
  readonly id: string;
  readonly network: NetworkName;
  /** [channels, height, width] of its images. */
  readonly image: readonly [number, number, number];
  readonly classes: number;
  /** As for --data. */
  readonly data: string;
  readonly origin: Origin;
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

const words = (text: string): readonly string[] => text.split(" ");

/** Small images first: half of the epochs at a quarter of the cost, a quarter at about half of it. */
const smallImagesFirst = words(
  "--epochs 16 --resolution 16:0.5,24:0.25 --lr 0.15 --checkpoint-seconds 120 --validation 0.02",
);

const ownBaseline: Origin = { kind: "trained", trainings: [smallImagesFirst] };

/** Four epochs of whole images are too few for a large network: ResNet-18 has 92.52 % after them, and 93.24 % after five more. */
const largeBaseline: Origin = {
  kind: "trained",
  trainings: [smallImagesFirst, words("--epochs 5 --lr 0.05 --checkpoint-seconds 120 --validation 0.02")],
};

/**
 * Whole channels go first, so that everything after runs at a fraction of the cost, and the network that is left after
 * them teaches; then coefficients little by little, which may come back.
 */
const channelsFirst = (channels: number, macs: number): readonly string[] => [
  ...words(`--channels ${channels} --channel-loss labels --channel-epochs 12 --teacher recovered`),
  ...words(`--gradual --phases joint --l1 0 --epochs 8 --fine-tune-epochs 4 --target-macs ${macs}`),
];

/** Calibrated, with a better teacher than the network itself where there is one, and a fine-tuning of some length. */
const calibrated = (epochs: number, macs: number, more = ""): readonly string[] => [
  ...words(`--start calibrate --basis auto --epochs 0 --fine-tune-epochs ${epochs}`),
  ...words(`--fine-tune-lr 0.02 --ema 0.998 --target-macs ${macs}`),
  ...(more === "" ? [] : words(more)),
];

const resnet56Teacher = `--teacher ${sharedPath("models/resnet56.onnx")}`;

/** From the model of row resnet18, trained as a dense network with these options. */
const resnet18Anew = (training: string): Omit<Row, "id"> => ({
  ...cifar,
  network: "resnet18",
  origin: { kind: "compressed", row: "resnet18", seed: 0, trainings: [words(training)] },
  // Of the network that it starts from, which has 91.5 M on its bases: 4.7 % of the baseline's.
  compress: calibrated(8, 0.2833, `${resnet56Teacher} --checkpoint-seconds 120`),
  seeds: [0],
  bar: "the paper: 97 % fewer parameters, 92 % fewer MACs, no loss",
  goal: "the same counts at no more than 0.1 point",
});

/** All rows, in the order of the table, each after the one that it starts from; what is not on record yet has no line there. */
export const rows: readonly Row[] = [
  {
    ...cifar,
    id: "resnet18",
    network: "resnet18",
    origin: largeBaseline,
    compress: channelsFirst(0.25, 0.06),
    seeds: [0],
    bar: "the paper: 97 % fewer parameters, 92 % fewer MACs, no loss; 53 % lower latency, 44 % less memory",
    goal: "the same counts at no more than 0.1 point; 85 % lower latency, 90 % less memory",
  },
  {
    ...resnet18Anew(
      "--epochs 4 --lr 0.05 --insert-normalization --ema 0.998 --validation 0.05 --checkpoint-seconds 120",
    ),
    id: "resnet18-again",
  },
  {
    ...resnet18Anew(
      `--epochs 8 --insert-normalization --ema 0.998 ${resnet56Teacher} --validation 0.02 --checkpoint-seconds 120`,
    ),
    id: "resnet18-taught",
  },
  {
    ...cifar,
    id: "vgg16",
    network: "vgg16",
    origin: largeBaseline,
    compress: channelsFirst(0.25, 0.05),
    seeds: [0],
    bar: "the authors' notebook: 93.49 -> 93.13 at 92.8 % fewer MACs; NORTON 93.96 -> 93.84 at 88 %, 92.54 at 96 %",
    goal: "no more than 0.1 point at 93 % fewer MACs and 98 % fewer parameters",
  },
  {
    ...cifar,
    id: "resnet56-71",
    network: "resnet56",
    origin: { kind: "shared", file: "models/resnet56.onnx" },
    compress: calibrated(12, 0.29, "--checkpoint-seconds 120"),
    seeds: [0],
    bar: "DepGraph 93.53 -> 93.64 at 2.57x; NORTON 93.26 -> 93.81 at 71 % fewer MACs, 75 % fewer parameters",
    goal: "93.4 % at 71 % fewer MACs",
  },
  {
    ...cifar,
    id: "resnet56-89",
    network: "resnet56",
    origin: { kind: "shared", file: "models/resnet56.onnx" },
    compress: calibrated(30, 0.11),
    seeds: [0],
    bar: "NORTON 91.62 at 89 % fewer MACs, 91 % fewer parameters",
    goal: "92.0 % at 89 % fewer MACs",
  },
  {
    ...cifar,
    id: "resnet20-60",
    network: "resnet20",
    origin: { kind: "shared", file: "models/resnet20.onnx" },
    compress: calibrated(30, 0.4, resnet56Teacher),
    seeds: [0, 1, 2],
    bar: "ours before: 91.15 % at 58 % fewer MACs",
    goal: "91.7 % at 60 % fewer MACs",
  },
  {
    ...cifar,
    id: "resnet20-72",
    network: "resnet20",
    origin: { kind: "shared", file: "models/resnet20.onnx" },
    compress: calibrated(30, 0.28, resnet56Teacher),
    seeds: [0, 1, 2],
    bar: "HALOC: 0.07 points more than its baseline at 72 % fewer",
    goal: "91.3 % at 72 % fewer MACs",
  },
  {
    ...cifar,
    id: "resnet20-calibrated",
    network: "resnet20",
    origin: { kind: "shared", file: "models/resnet20.onnx" },
    compress: ["--preset", "calibrate", "--target-macs", "0.58"],
    seeds: [0, 1, 2],
    bar: "no published figure without labels or training is known to us",
    goal: "none; what minutes give",
  },
  {
    ...cifar,
    id: "mobilenet-v2",
    network: "mobilenet_v2",
    origin: ownBaseline,
    compress: calibrated(4, 0.3, "--checkpoint-seconds 120"),
    seeds: [0],
    bar: "XNNPACK's sparse MobileNets: 1.3 to 2.4 times as fast",
    goal: "2.4 times as fast as our own dense build at no more than 0.5 point",
  },
];

/** @throws PenniError "bad-option" if there is no such row */
export function findRow(id: string | undefined, known = rows): Row {
  const row = known.find((candidate) => candidate.id === id);
  if (row !== undefined) return row;
  throw new PenniError("bad-option", "there is no such row", {
    expected: known.map((candidate) => candidate.id).join(", "),
    found: id ?? "none",
  });
}
