import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { sharedPath } from "../../support/shared.js";

/** How long the trials of the sweep are. */
export interface ShortSize {
  /** Training images. */
  readonly train: number;
  readonly test: number;
  /** Of retraining; half as many of fine-tuning. */
  readonly epochs: number;
  /** At most 24. */
  readonly trials: number;
}

const RECORD = 1 + 3 * 32 * 32;
const BATCHES = 5;
const axes = { targetMacs: [0.6, 0.5, 0.4, 0.35, 0.3, 0.25], basis: [3, 4, 5, 6] } as const;

/** The 24 trials, or so many of them: retrained on a part of CIFAR-10, and measured on a part of its test images. */
export class ShortSweep {
  private readonly data: string;

  constructor(
    private readonly folder: string,
    private readonly size: ShortSize,
  ) {
    mkdirSync(folder, { recursive: true });
    this.data = path.join(folder, "images");
    mkdirSync(this.data, { recursive: true });
    for (let batch = 1; batch <= BATCHES; batch++)
      this.cut(`data_batch_${batch}.bin`, Math.ceil(size.train / BATCHES));
    this.cut("test_batch.bin", size.test);
    writeFileSync(path.join(this.data, META), readFileSync(sharedPath(`data/cifar10/${META}`)));
  }

  private cut(name: string, images: number): void {
    const bytes = gunzipSync(readFileSync(sharedPath(`data/cifar10/${name}.gz`)));
    writeFileSync(path.join(this.data, name), bytes.subarray(0, images * RECORD));
  }

  /** The settings of all trials, without those of the axes. */
  base(threads: number): Readonly<Record<string, unknown>> {
    const { epochs } = this.size;
    return {
      model: sharedPath("models/resnet20.onnx"),
      data: `cifar10:${this.data}`,
      epochs,
      fineTuneEpochs: epochs / 2,
      threads,
      checkpointSeconds: 1,
    };
  }

  /** What differs between trials, in their order. */
  values(): readonly Readonly<Record<string, number>>[] {
    const all = axes.targetMacs.flatMap((targetMacs) => axes.basis.map((basis) => ({ targetMacs, basis })));
    return all.slice(0, this.size.trials);
  }

  /** The file for `penni sweep`. */
  file(threads: number): string {
    const count = Math.max(1, Math.round(this.size.trials / axes.basis.length));
    const few = this.size.trials < axes.basis.length;
    const content = {
      base: this.base(threads),
      axes: {
        targetMacs: axes.targetMacs.slice(0, count),
        basis: few ? axes.basis.slice(0, this.size.trials) : axes.basis,
      },
    };
    const file = path.join(this.folder, `sweep-${threads}.json`);
    writeFileSync(file, JSON.stringify(content));
    return file;
  }
}

const META = "batches.meta.txt";

export const trialFolder = (number: number): string => String(number).padStart(3, "0");

/** Digests of the networks of trials whose runs are in a folder. */
export function networksIn(folder: string, trials: number): readonly string[] {
  return Array.from({ length: trials }, (_, number) => {
    const bytes = readFileSync(path.join(folder, trialFolder(number), "model.onnx"));
    return createHash("sha256").update(bytes).digest("hex");
  });
}
