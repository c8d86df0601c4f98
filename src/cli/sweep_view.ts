import type { SweepSource } from "../report/sweep_page.js";
import type { SweepDirectory } from "../sweep/directory.js";
import type { SweepListener } from "../sweep/engine.js";
import { trialCount } from "../sweep/progress.js";
import { resultFiles, rowOf } from "../sweep/results.js";
import { terminalLine } from "../text/destinations.js";
import { describeValues } from "./sweep_settings.js";
import { describeResult } from "./sweep_text.js";
import type { Output } from "./terminal.js";

/** The files of results are written at most so often while trials end. */
const WRITING_MS = 1000;
/** And the page, which is larger. */
const PAGE_MS = 10_000;
/** Of very large sweeps so rarely that it takes no more than this share of the time. */
const WRITING_SHARE = 0.05;
const PAGE = "report.html";

/** Says in a line each what happens to trials, and keeps the files of results up to date. */
export function narrator(sweep: SweepDirectory, keeper: ResultsKeeper, output: Output): SweepListener {
  const count = trialCount(sweep.spec);
  const line = (number: number, text: string): void =>
    output.write(`${terminalLine(`trial ${number} of ${count}: ${text}`)}\n`);
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
      await keeper.renew();
    },
  };
}

/** Writes the files of results and the page while a sweep goes on, so that they are there whatever ends it. */
export class ResultsKeeper {
  /** When they are due again. */
  private resultsDue = 0;
  private pageDue = 0;
  private hasFailed = false;

  /** @param failed told why there is no page, once: that is no reason to end a sweep */
  constructor(
    private readonly sweep: SweepDirectory,
    private readonly source: SweepSource,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Writes them if that was long enough ago. */
  async renew(): Promise<void> {
    if (performance.now() >= this.resultsDue) await this.writeResults();
    if (performance.now() >= this.pageDue) await this.writePage();
  }

  async writeResults(): Promise<void> {
    const started = performance.now();
    // Trials that end meanwhile do not begin it again.
    this.resultsDue = Number.POSITIVE_INFINITY;
    try {
      for (const [name, text] of Object.entries(resultFiles(this.sweep))) await this.sweep.write(name, text);
    } finally {
      this.resultsDue = nextDue(started, WRITING_MS);
    }
  }

  /** @returns the page's name in the directory; undefined where it cannot be made */
  async writePage(): Promise<string | undefined> {
    const started = performance.now();
    this.pageDue = Number.POSITIVE_INFINITY;
    try {
      await this.sweep.write(PAGE, await this.source.page());
      return PAGE;
    } catch (error) {
      if (!this.hasFailed) this.failed(error);
      this.hasFailed = true;
      return undefined;
    } finally {
      this.pageDue = nextDue(started, PAGE_MS);
    }
  }
}

const nextDue = (started: number, interval: number): number => {
  const now = performance.now();
  return now + Math.max(interval, (now - started) / WRITING_SHARE);
};
