import type { SweepDirectory } from "../sweep/directory.js";
import type { SweepListener } from "../sweep/engine.js";
import { resultFiles, rowOf } from "../sweep/results.js";
import { describeValues } from "./sweep_settings.js";
import { describeResult } from "./sweep_text.js";
import type { Output } from "./terminal.js";

/** The files of results are written at most so often while trials end. */
const WRITING_MS = 1000;

/** Says in a line each what happens to trials, and keeps the files of results up to date. */
export function narrator(sweep: SweepDirectory, output: Output): SweepListener {
  const { search, axes } = sweep.spec;
  const grid = Object.values(axes).reduce((size, axis) => size * (Array.isArray(axis) ? axis.length : 1), 1);
  const count = search.kind === "grid" ? grid : search.trials;
  let lastWritten = 0;
  const line = (number: number, text: string): void => output.write(`trial ${number} of ${count}: ${text}\n`);
  return {
    started: ({ number, values }) => line(number, `${describeValues(values)} ...`),
    epoch: ({ number }, { stage, epoch, loss, validation }) => {
      const quality = validation === undefined ? "" : `, validation top-1 ${(100 * validation).toFixed(1)} %`;
      line(number, `  ${stage}, epoch ${epoch}: loss ${loss.toFixed(4)}${quality}`);
    },
    ended: async (trial) => {
      const { number, status, reason } = trial;
      const detail = reason ?? describeResult(rowOf(trial));
      line(number, detail === "" ? status : `${status}: ${detail}`);
      if (Date.now() - lastWritten < WRITING_MS) return;
      lastWritten = Date.now();
      await writeResults(sweep);
    },
  };
}

export async function writeResults(sweep: SweepDirectory): Promise<void> {
  for (const [name, text] of Object.entries(resultFiles(sweep))) await sweep.write(name, text);
}
