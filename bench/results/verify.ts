import { measureModel } from "./measure.js";
import { type Measured, modelFile, readRecord, recordedSeeds } from "./record.js";
import type { Row } from "./rows.js";

/** Another processor rounds differently: so many of ten thousand images may come out otherwise. */
const MOST_OTHER_HITS = 3;

export interface Verification {
  /** How many were measured. */
  readonly models: number;
  /** What differs from the records; empty if nothing does. */
  readonly problems: readonly string[];
}

/** Measures a row's committed models anew and compares them with their records. */
export async function verify(row: Row, print: (line: string) => void): Promise<Verification> {
  const problems: string[] = [];
  const seeds = await recordedSeeds(row.id);
  for (const seed of seeds) {
    const { measured: recorded } = await readRecord(row.id, seed);
    const found = await measureModel(row, modelFile(row.id, seed));
    const name = `${row.id}, seed ${seed}`;
    print(`${name}: ${describe(found)}`);
    print(`${" ".repeat(name.length)}  recorded: ${describe(recorded)}`);
    problems.push(...differences(recorded, found).map((difference) => `${name}: ${difference}`));
  }
  return { models: seeds.length, problems };
}

function describe({ test, costs, latency, memory }: Measured): string {
  const { nodeDense, webDense, wasmCompressed, cCompressed } = latency;
  const inC = cCompressed === undefined ? "" : `, C ${cCompressed.toFixed(2)}`;
  return (
    `top-1 ${test.correct} of ${test.total}; ${costs.paperMacs} MACs, ${costs.parameters} parameters, ${costs.bytes} bytes; ` +
    `ms: node dense ${nodeDense.toFixed(2)}, web dense ${webDense.toFixed(2)}, wasm ${wasmCompressed.toFixed(2)}${inC}; ` +
    `memory ${((100 * memory.compiledBytes) / memory.webDenseBytes).toFixed(1)} % of the dense one's`
  );
}

/** What must be the same on every machine and is not; times and the runtime's memory are its own. */
export function differences(recorded: Measured, found: Measured): readonly string[] {
  const counts = (["parameters", "paperMacs", "executedMacs", "bytes"] as const).flatMap((cost) =>
    recorded.costs[cost] === found.costs[cost]
      ? []
      : [`${cost}: recorded ${recorded.costs[cost]}, found ${found.costs[cost]}`],
  );
  const other = Math.abs(recorded.test.correct - found.test.correct);
  const isSame = other <= MOST_OTHER_HITS && recorded.test.total === found.test.total;
  const hits = ({ test }: Measured): string => `${test.correct} of ${test.total}`;
  return isSame ? counts : [...counts, `top-1: recorded ${hits(recorded)}, found ${hits(found)}`];
}
