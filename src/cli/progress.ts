import { Presets, SingleBar } from "cli-progress";
import { exitAfter, onStop } from "./stopping.js";
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
  let release: (() => void) | undefined;
  const stop = (): void => {
    bar.stop();
    release?.();
    release = undefined;
  };
  return {
    update: (done, total) => {
      if (release === undefined) {
        // Before the bar hides the cursor, which no signal brings back.
        release = onStop((signal) => {
          stop();
          exitAfter(signal);
        });
        bar.start(total, 0);
      }
      bar.update(done);
    },
    stop,
  };
}
