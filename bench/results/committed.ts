import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { resultsFolder } from "./record.js";
import { rows } from "./rows.js";
import { tableText } from "./table.js";

/** A folder of a seed: what is in it says whether it can be verified. */
const SEED = /^seed-\d+$/;

/**
 * What of the results on record would be verified by nobody: models without a record, records without a model, and
 * folders of rows that there are no more.
 */
export async function unverifiable(folder = resultsFolder, known = rows): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const row of await foldersOf(folder)) {
    if (!known.some(({ id }) => id === row)) problems.push(`${row}: there is no such row`);
    for (const seed of (await foldersOf(path.join(folder, row))).filter((name) => SEED.test(name))) {
      const [model, record] = ["model.onnx", "record.json"].map((name) =>
        existsSync(path.join(folder, row, seed, name)),
      );
      if (model !== true) problems.push(`${row}, ${seed}: there is no model.onnx`);
      if (record !== true) problems.push(`${row}, ${seed}: there is no record.json`);
    }
  }
  return problems;
}

async function foldersOf(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Whether `results/README.md` says what the records say, as a problem. */
export async function staleTable(folder = resultsFolder): Promise<readonly string[]> {
  const written = await readFile(path.join(folder, "README.md"), "utf8");
  return written === (await tableText()) ? [] : ["results/README.md is not what the records come to"];
}
