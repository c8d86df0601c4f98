import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { messageOf } from "../../src/graph/errors.js";
import { newNetwork } from "../../src/networks/index.js";
import { fileCounts } from "../../src/run/outcome.js";
import { sharedPath } from "../../support/shared.js";
import { judge, measureModel } from "./measure.js";
import { startProblems } from "./origin.js";
import {
  type Measured,
  modelFile,
  type ResultRecord,
  readRecord,
  recordedSeeds,
  trainingFolder,
  writeRecord,
} from "./record.js";
import { findRow, type Row, trainingName } from "./rows.js";

/** Another processor rounds differently: so many of ten thousand images may come out otherwise. */
const MOST_OTHER_HITS = 3;
/** The runtime's memory is the machine's: so much of the share that is saved may be missing. */
const MOST_LOST_MEMORY = 0.02;
/** Clocks are the machine's: the share of the dense network's latency that is left may be so many times the recorded one. */
const MOST_SLOWER = 1.5;
/** The compressor of Node.js may be another one. */
const MOST_LARGER = 1.02;

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
    const name = `${row.id}, seed ${seed}`;
    // One that cannot be measured says nothing of the others.
    const found = await verifySeed(row, seed, name, print).catch((error: unknown) => [messageOf(error)]);
    problems.push(...found.map((problem) => `${name}: ${problem}`));
  }
  return { models: seeds.length, problems };
}

/** Measures a row's committed models into their records: what was compiled then may be compiled otherwise now. */
export async function remeasure(row: Row): Promise<void> {
  for (const seed of await recordedSeeds(row.id)) {
    const record = await readRecord(row.id, seed);
    await writeRecord(row.id, seed, {
      ...record,
      measured: await measureModel(row, modelFile(row.id, seed)),
    });
  }
}

async function verifySeed(
  row: Row,
  seed: number,
  name: string,
  print: (line: string) => void,
): Promise<readonly string[]> {
  const record = await readRecord(row.id, seed);
  const found = await measureModel(row, modelFile(row.id, seed));
  print(`${name}: ${describe(found)}`);
  print(`${" ".repeat(name.length)}  recorded: ${describe(record.measured)}`);
  return [
    ...differences(record.measured, found),
    ...promises(record.measured, found),
    ...(await originProblems(row, record)),
  ];
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

type Judged = ResultRecord["baseline"];

const allCosts = ["parameters", "paperMacs", "executedMacs", "bytes"] as const;

/** What must be the same on every machine and is not. */
export function differences(recorded: Judged, found: Judged): readonly string[] {
  const counts = otherCounts(recorded.costs, found.costs, allCosts);
  const other = Math.abs(recorded.test.correct - found.test.correct);
  const isSame = other <= MOST_OTHER_HITS && recorded.test.total === found.test.total;
  return isSame ? counts : [...counts, `top-1: recorded ${hits(recorded.test)}, found ${hits(found.test)}`];
}

function otherCounts<Cost extends (typeof allCosts)[number]>(
  recorded: Readonly<Record<Cost, number>>,
  found: Readonly<Record<Cost, number>>,
  costs: readonly Cost[],
): readonly string[] {
  return costs.flatMap((cost) =>
    recorded[cost] === found[cost] ? [] : [`${cost}: recorded ${recorded[cost]}, found ${found[cost]}`],
  );
}

const hits = ({ correct, total }: Judged["test"]): string => `${correct} of ${total}`;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** Time, memory and size of the compiled network that a record promises and this machine does not find. */
export function promises(recorded: Measured, found: Measured): readonly string[] {
  const memoryLeft = ({ memory }: Measured): number => memory.compiledBytes / memory.webDenseBytes;
  const left = {
    "memory of the dense network's": [memoryLeft, (share: number) => share + MOST_LOST_MEMORY],
    "latency of the dense network's, in WebAssembly": [
      ({ latency }: Measured) => latency.wasmCompressed / latency.webDense,
      (share: number) => MOST_SLOWER * share,
    ],
    "latency of the dense network's, in C": [
      ({ latency }: Measured) =>
        latency.cCompressed === undefined ? undefined : latency.cCompressed / latency.nodeDense,
      (share: number) => MOST_SLOWER * share,
    ],
  } as const;
  const problems = Object.entries(left).flatMap(([what, [shareOf, most]]) => {
    const [promised, is] = [shareOf(recorded), shareOf(found)];
    if (promised === undefined || is === undefined || is <= most(promised)) return [];
    return [`${what}: recorded ${percent(promised)}, found ${percent(is)}`];
  });
  if (found.gzippedWasm <= MOST_LARGER * recorded.gzippedWasm) return problems;
  return [
    ...problems,
    `bytes of the compiled network, gzipped: recorded ${recorded.gzippedWasm}, found ${found.gzippedWasm}`,
  ];
}

/** What a record says of the network before compression, as far as it is here or can be made. */
async function originProblems(row: Row, record: ResultRecord): Promise<readonly string[]> {
  const { origin } = row;
  const named = (problems: readonly string[]): readonly string[] =>
    problems.map((problem) => `baseline's ${problem}`);
  if (origin.kind === "shared") {
    return named(differences(record.baseline, await judge(row, sharedPath(origin.file))));
  }
  const training = path.join(trainingFolder(row.id, trainingName(origin.kind)), "summary.json");
  const missing = existsSync(training) ? [] : [`training is not on record: ${training}`];
  if (origin.kind === "compressed") {
    const first = await originProblems(findRow(origin.row), await readRecord(origin.row, origin.seed));
    return [...missing, ...(await startProblems(origin, record)), ...first];
  }
  const trained = missing.length > 0 ? missing : await trainingProblems(training, record.baseline);
  return named([...untrainedProblems(row, record.baseline), ...trained]);
}

/** Its weights are too large to be on record; its structure has counts of its own. */
function untrainedProblems({ network, classes, image }: Row, { costs }: Judged): readonly string[] {
  const untrained = newNetwork(network, { classes, image, seed: 0, metadata: new Map() });
  return otherCounts(costs, fileCounts(untrained), ["parameters", "paperMacs", "executedMacs"]);
}

const trainingSchema = z.object({ test: z.object({ correct: z.number(), total: z.number() }) });

/** The training that is on record beside it ended with these hits. */
async function trainingProblems(file: string, { test }: Judged): Promise<readonly string[]> {
  const { test: trained } = trainingSchema.parse(JSON.parse(await readFile(file, "utf8")));
  return hits(trained) === hits(test)
    ? []
    : [`top-1: recorded ${hits(test)}, by its training ${hits(trained)}`];
}
