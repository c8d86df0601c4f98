import { open, stat } from "node:fs/promises";
import path from "node:path";
import { parseJson } from "../run/texts.js";
import { epochMetricsSchema } from "../train/plan.js";
import type { TrialEpoch, TrialWatch } from "./trial.js";

const LINE_END = 10;

/** The epoch that a line of `metrics.jsonl` tells of. A damaged line is no reason to end a trial: undefined. */
export function epochOf(line: string): TrialEpoch | undefined {
  const found = epochMetricsSchema.safeParse(parseJson(line)).data;
  if (found === undefined) return undefined;
  const { stage, epoch, loss, validation } = found;
  return { stage, epoch, loss, ...(validation === undefined ? {} : { validation }) };
}

/** Reads what is new in a run's `metrics.jsonl`, whole lines only. */
export class EpochReader {
  private readonly file: string;
  private offset = 0;
  private rest: Buffer = Buffer.alloc(0);

  constructor(directory: string) {
    this.file = path.join(directory, "metrics.jsonl");
  }

  /** Tells the epochs that have come since the last call; ends at the first one that the trial is to stop at. */
  async tell(watch: Pick<TrialWatch, "onEpoch">): Promise<"go-on" | "stop"> {
    for (const epoch of await this.news()) if (watch.onEpoch(epoch) === "stop") return "stop";
    return "go-on";
  }

  private async news(): Promise<readonly TrialEpoch[]> {
    const size = (await stat(this.file).catch(() => undefined))?.size;
    if (size === undefined || size === this.offset) return [];
    // A run that goes on cuts a torn line off.
    if (size < this.offset) [this.offset, this.rest] = [size, Buffer.alloc(0)];
    const bytes = Buffer.concat([this.rest, await readFrom(this.file, this.offset, size - this.offset)]);
    this.offset = size;
    const end = bytes.lastIndexOf(LINE_END) + 1;
    this.rest = bytes.subarray(end);
    const lines = bytes.subarray(0, end).toString().split("\n").slice(0, -1);
    return lines.map(epochOf).filter((epoch) => epoch !== undefined);
  }
}

async function readFrom(file: string, offset: number, length: number): Promise<Buffer> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
