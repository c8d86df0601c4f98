import { existsSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { PenniError } from "../../src/graph/errors.js";
import { digestOf } from "../../src/run/digests.js";
import { modelFile, type ResultRecord, readRecord } from "./record.js";
import type { Origin } from "./rows.js";

type Compressed = Extract<Origin, { kind: "compressed" }>;

interface TakenOver {
  readonly baseline: ResultRecord["baseline"];
  readonly start: NonNullable<ResultRecord["start"]>;
}

/**
 * What a row that starts from another row's compressed network takes over from it: the baseline, and which file it is.
 * @throws PenniError "bad-file" if that row is not on record
 */
export async function takenOver({ row, seed }: Compressed): Promise<TakenOver> {
  const { baseline } = await readRecord(row, seed);
  const file = modelFile(row, seed);
  if (!existsSync(file)) {
    throw new PenniError("bad-file", `the model that row ${row} has on record is not there`, {
      file,
      advice: `Make it anew: npm run results -- ${row}`,
    });
  }
  return { baseline, start: { row, seed, sha256: await digestOf(file) } };
}

/** What a record says of where it started, and is not so (any more). */
export async function startProblems(
  origin: Compressed,
  { baseline, start }: ResultRecord,
): Promise<readonly string[]> {
  const now = await takenOver(origin);
  const place = `row ${origin.row}, seed ${origin.seed}`;
  return [
    ...(isDeepStrictEqual(baseline, now.baseline) ? [] : [`baseline is another one than that of ${place}`]),
    ...(isDeepStrictEqual(start, now.start)
      ? []
      : [`it started from another model than is on record in ${place}`]),
  ];
}
