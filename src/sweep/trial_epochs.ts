import path from "node:path";
import { parseJson } from "../run/texts.js";
import { epochMetricsSchema } from "../train/plan.js";
import { LineReader } from "./line_reader.js";
import type { TrialEpoch, TrialWatch } from "./trial.js";

/** A run's file of lines that `epochOf` reads. */
export const METRICS = "metrics.jsonl";

/** The epoch that a line of `metrics.jsonl` tells of. A damaged line is no reason to end a trial: undefined. */
export function epochOf(line: string): TrialEpoch | undefined {
  const found = epochMetricsSchema.safeParse(parseJson(line)).data;
  if (found === undefined) return undefined;
  const { stage, epoch, loss, validation } = found;
  return { stage, epoch, loss, ...(validation === undefined ? {} : { validation }) };
}

/** Tells what is new in a run's `metrics.jsonl`. */
export class EpochReader {
  private readonly lines: LineReader;

  constructor(directory: string) {
    this.lines = new LineReader(path.join(directory, METRICS));
  }

  /** Tells the epochs that have come since the last call; ends at the first one that the trial is to stop at. */
  async tell(watch: Pick<TrialWatch, "onEpoch">): Promise<"go-on" | "stop"> {
    for (const line of await this.lines.news()) {
      const epoch = epochOf(line);
      if (epoch !== undefined && watch.onEpoch(epoch) === "stop") return "stop";
    }
    return "go-on";
  }
}
