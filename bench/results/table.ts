import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { median } from "../../src/measure/median.js";
import { type ResultRecord, readRecord, recordedSeeds, resultsFolder } from "./record.js";
import { type Row, rows } from "./rows.js";

const HEAD = `# Results

Each row was made by the commands in its folder's \`record.json\`; \`npm run results -- ROW\` makes it again, and
\`npm run results -- --verify\` measures every committed model anew, from its file. Top-1 on the 10,000 test images, used
once. Fewer multiply-accumulates (MACs) and parameters as the paper counts them; executed: what ONNX Runtime runs. Latency:
medians of one image on one thread, by turns in one run, the dense network in ONNX Runtime against the compiled one. Memory:
weights and arena of the compiled network against what a process grows by with the dense one in \`onnxruntime-web\`.
Own dense build: how many times as fast the compiled network is as the dense one compiled likewise, in WebAssembly / C.
Several seeds: mean and standard deviation of top-1; the rest is the median.

| row | baseline | top-1 | fewer MACs | fewer parameters | executed MACs left | file, kB | latency: dense node / web -> wasm / C, ms | own dense build | memory less |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
`;

/** Writes `results/README.md` from the records. */
export async function writeTable(): Promise<void> {
  await mkdir(resultsFolder, { recursive: true });
  await writeFile(path.join(resultsFolder, "README.md"), await tableText());
}

/** What `results/README.md` says. */
export async function tableText(): Promise<string> {
  const lines: string[] = [];
  const notes: string[] = [];
  for (const row of rows) {
    const seeds = await recordedSeeds(row.id);
    if (seeds.length === 0) continue;
    lines.push(tableLine(row, await Promise.all(seeds.map((seed) => readRecord(row.id, seed)))));
    notes.push(`- ${row.id}: ${startNote(row)}bar: ${row.bar}; goal: ${row.goal}`);
  }
  return `${HEAD}${lines.join("\n")}\n\n${notes.join("\n")}\n`;
}

/** What is not compressed from its baseline at once. */
function startNote({ origin }: Row): string {
  if (origin.kind !== "compressed") return "";
  return `from the model of ${origin.row}, seed ${origin.seed}, trained as a dense network; baseline and shares: those of ${origin.row}; `;
}

const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;

/** Mean and, of several, standard deviation (of the sample). */
export function meanAndDeviation(values: readonly number[]): { mean: number; deviation?: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length < 2) return { mean };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}

function tableLine(row: Row, records: readonly ResultRecord[]): string {
  const of = (value: (record: ResultRecord) => number): number => median(records.map(value));
  const top1 = ({ correct, total }: { correct: number; total: number }): number => correct / total;
  const { mean, deviation } = meanAndDeviation(records.map(({ measured }) => top1(measured.test)));
  const saved = (cost: "paperMacs" | "parameters"): string =>
    percent(of(({ measured, baseline }) => 1 - measured.costs[cost] / baseline.costs[cost]));
  const latency = (engine: "nodeDense" | "webDense" | "wasmCompressed" | "cCompressed"): string =>
    of(({ measured }) => measured.latency[engine] ?? Number.NaN).toFixed(2);
  const timesDense = (target: "wasm" | "c"): string => {
    const times = records.flatMap(({ measured: { latency } }) => {
      const [dense, own] = [latency[`${target}Dense`], latency[`${target}Compressed`]];
      return dense === undefined || own === undefined ? [] : [dense / own];
    });
    return times.length < records.length ? "-" : median(times).toFixed(2);
  };
  const cells = [
    row.id,
    percent(
      of(({ baseline }) => top1(baseline.test)),
      2,
    ),
    `${percent(mean, 2)}${deviation === undefined ? "" : ` ± ${(100 * deviation).toFixed(2)} (${records.length} seeds)`}`,
    saved("paperMacs"),
    saved("parameters"),
    percent(of(({ measured, baseline }) => measured.costs.executedMacs / baseline.costs.executedMacs)),
    (of(({ measured }) => measured.costs.bytes) / 1000).toFixed(0),
    `${latency("nodeDense")} / ${latency("webDense")} -> ${latency("wasmCompressed")} / ${latency("cCompressed")}`,
    `${timesDense("wasm")} / ${timesDense("c")}`,
    percent(of(({ measured: { memory } }) => 1 - memory.compiledBytes / memory.webDenseBytes)),
  ];
  return `| ${cells.join(" | ")} |`;
}
