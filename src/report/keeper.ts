import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { appendSession, sessionOf } from "./data/sessions.js";
import { REPORT, ReportSource } from "./sources.js";

/** What is told at once may be in the files a moment later. */
const SETTLING_MS = 250;

/** Keeps `report.html` of a run up to date while the run goes on. */
export class ReportKeeper {
  private isStale = false;
  private isLast = false;
  private writing: Promise<void> | undefined;

  private constructor(
    readonly source: ReportSource,
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
    const keeper = new ReportKeeper(new ReportSource([root]), root, failed);
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

  private async write(): Promise<void> {
    while (this.isStale) {
      if (!this.isLast) await sleep(SETTLING_MS);
      this.isStale = false;
      try {
        await this.source.write(path.join(this.root, REPORT));
      } catch (error) {
        this.failed(error);
      }
    }
    this.writing = undefined;
  }
}
