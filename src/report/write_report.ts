import path from "node:path";
import { REPORT, ReportSource } from "./sources.js";

/**
 * Writes the report of a run, or of several beside each other, into a file.
 * @param directories of runs
 * @param file by default `report.html` in the first directory
 * @throws PenniError "bad-file" naming a directory that holds no run; "io" if the file cannot be written
 */
export async function writeReport(directories: readonly [string, ...string[]], file?: string): Promise<void> {
  await new ReportSource(directories).write(file ?? path.join(directories[0], REPORT));
}
