import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { writeFileAtomic } from "../files/atomic.js";
import { appendSession, sessionOf } from "./data/sessions.js";
import { REPORT } from "./sources.js";
import { WorkerSource } from "./worker_source.js";

/** What is told at once may be in the files a moment later. */
const SETTLING_MS = 250;

/** Keeps `report.html` of a run up to date while the run goes on. */
export class ReportKeeper {
  private isStale = false;
  private isLast = false;
  private writing: Promise<void> | undefined;

  private constructor(
    readonly source: WorkerSource,
    private readonly root: string,
    private readonly failed: (error: unknown) => void,
  ) {}

  /**
   * @param command the words of the command line that works on the run, without "penni"
   * @param penni version
   * @param failed told why the report could not be written: no reason to end a run
   */
  static async start(
    root: string,
    command: readonly string[],
    penni: string,
    failed: (error: unknown) => void,
  ): Promise<ReportKeeper> {
    const keeper = new ReportKeeper(new WorkerSource([root]), root, failed);
    await appendSession(root, sessionOf(command, penni)).catch(failed);
    return keeper;
  }

  /** Writes the report as soon as the one before is written. */
  renew(): void {
    this.isStale = true;
    this.writing ??= this.write();
  }

  /** Writes it a last time. */
  async finish(): Promise<void> {
    this.isLast = true;
    await this.writing;
    this.renew();
    await this.writing;
  }

  /** Ends the thread that makes the pages. */
  close(): Promise<void> {
    return this.source.close();
  }

  private async write(): Promise<void> {
    while (this.isStale) {
      if (!this.isLast) await sleep(SETTLING_MS);
      this.isStale = false;
      try {
        await writeFileAtomic(path.join(this.root, REPORT), await this.source.page());
      } catch (error) {
        this.failed(error);
      }
    }
    this.writing = undefined;
  }
}
