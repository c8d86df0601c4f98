import { Presets, SingleBar } from "cli-progress";
import type { Output } from "./terminal.js";

/** A progress bar, or nothing at all where nobody watches. */
export interface Progress {
  readonly update: (done: number, total: number) => void;
  readonly stop: () => void;
}

/** A live bar on a terminal; silent in pipes and files. */
export function progressBar(output: Output, unit: string): Progress {
  if (!output.isTTY) return { update: () => undefined, stop: () => undefined };
  const format = ` {bar} {percentage} % | {value} of {total} ${unit} | {eta_formatted} left`;
  const bar = new SingleBar(
    { format, stream: output.stream, clearOnComplete: true, hideCursor: true },
    Presets.shades_classic,
  );
  let started = false;
  return {
    update: (done, total) => {
      if (!started) bar.start(total, 0);
      started = true;
      bar.update(done);
    },
    stop: () => bar.stop(),
  };
}
