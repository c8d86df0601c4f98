import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { writeFileAtomic } from "../files/atomic.js";
import type { Html } from "../text/destinations.js";
import { comparisonPage } from "./comparison_page.js";
import { RunReader, type RunReport } from "./data/run.js";
import type { LiveSource } from "./live_server.js";
import { runPage } from "./run_page.js";
import type { LivePage } from "./shell.js";

/** The file that every run directory has. */
export const REPORT = "report.html";

/** Files that a report does not read, and that change all the time. */
const unread: ReadonlySet<string> = new Set([REPORT, "checkpoints"]);

/** The report of one run, or of several beside each other, to be written or served. */
export class ReportSource implements LiveSource {
  private readonly readers: readonly RunReader[];

  /** @param roots directories of runs */
  constructor(private readonly roots: readonly string[]) {
    this.readers = roots.map((root) => new RunReader(root));
  }

  /** @throws PenniError "bad-file" naming a directory that holds no run */
  async read(): Promise<readonly RunReport[]> {
    const reports: RunReport[] = [];
    for (const reader of this.readers) reports.push(await reader.read());
    return reports;
  }

  /** The page. @param live undefined for a file */
  async page(live?: LivePage): Promise<Html> {
    return pageOf(await this.read(), live);
  }

  async fingerprint(): Promise<string> {
    const hash = createHash("sha256");
    for (const root of this.roots)
      for (const folder of [root, path.join(root, "stages")])
        for (const name of (await readdir(folder).catch(() => [])).sort()) {
          if (unread.has(name)) continue;
          const found = await stat(path.join(folder, name)).catch(() => undefined);
          hash.update(`${folder}/${name} ${found?.mtimeMs} ${found?.size}\n`);
        }
    return hash.digest("hex");
  }

  /** Writes the page into a file, whole or not at all. @returns what the page says */
  async write(file: string): Promise<readonly RunReport[]> {
    const reports = await this.read();
    await writeFileAtomic(file, pageOf(reports));
    return reports;
  }
}

function pageOf(reports: readonly RunReport[], live?: LivePage): Html {
  const [only] = reports;
  return reports.length === 1 && only !== undefined ? runPage(only, live) : comparisonPage(reports, live);
}
