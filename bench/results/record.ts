import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { PenniError } from "../../src/graph/errors.js";
import { parseJson, readText } from "../../src/run/texts.js";
import { projectRoot } from "../../support/shared.js";

/** What is in the repository for each row: one folder, and in it one for each seed. */
export const resultsFolder = path.join(projectRoot, "results");

const hits = z.object({ correct: z.number().int(), total: z.number().int() });

const costs = z.object({
  /** Non-zero coefficients and weights, bases and the rest. */
  parameters: z.number(),
  /** Multiply-accumulates of one image, as the paper counts them. */
  paperMacs: z.number(),
  /** Multiply-accumulates of one image that ONNX Runtime runs. */
  executedMacs: z.number(),
  /** Bytes of the .onnx file. */
  bytes: z.number(),
});

/** Medians of one image on one thread, in milliseconds, all engines by turns in one run. */
const latency = z.object({
  nodeDense: z.number(),
  nodeCompressed: z.number(),
  webDense: z.number(),
  wasmCompressed: z.number(),
  /** Absent where there is no C compiler. */
  cCompressed: z.number().optional(),
  /** The dense network in our own builds; absent in records from before it was measured. */
  wasmDense: z.number().optional(),
  cDense: z.number().optional(),
});

const measuredSchema = z.object({
  /** On the test images. */
  test: hits,
  costs,
  latency,
  /** Weights and arena of the compiled network, and what a process grows by with the dense one in ONNX Runtime for the web. */
  memory: z.object({ compiledBytes: z.number(), webDenseBytes: z.number() }),
  /** Bytes of the compiled network, gzipped. */
  gzippedWasm: z.number(),
  /** What it was measured on. */
  machine: z.string(),
});

/** `measured.json`: figures taken from the committed file alone. */
export type Measured = z.infer<typeof measuredSchema>;

const recordSchema = z.object({
  /** The commands that made the model, in order. */
  commands: z.array(z.string()),
  /** The baseline: its hits on the test images, and its costs. */
  baseline: z.object({ test: hits, costs }),
  /** The model on record that it started from, if that is not the baseline. */
  start: z.object({ row: z.string(), seed: z.number().int(), sha256: z.string() }).optional(),
  measured: measuredSchema,
});

/** `record.json` of one seed. */
export type ResultRecord = z.infer<typeof recordSchema>;

/** What is kept of a run. */
const keptFiles = [
  "config.json",
  "metrics.jsonl",
  "timing.jsonl",
  "summary.json",
  "calibration.json",
  "model.onnx",
];

export function seedFolder(row: string, seed: number): string {
  return path.join(resultsFolder, row, `seed-${seed}`);
}

export function modelFile(row: string, seed: number): string {
  return path.join(seedFolder(row, seed), "model.onnx");
}

/** Copies what is kept of a finished run. */
export async function keepRun(run: string, folder: string, files = keptFiles): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const file of files) {
    if (existsSync(path.join(run, file))) await copyFile(path.join(run, file), path.join(folder, file));
  }
}

/** What is kept of a training: all but its weights, which are large. */
export function keepTraining(run: string, row: string): Promise<void> {
  const files = ["config.json", "metrics.jsonl", "timing.jsonl", "summary.json"];
  return keepRun(run, trainingFolder(row, path.basename(run)), files);
}

/** @param name of the last training: "baseline", or "dense" of one that starts from a compressed network */
export function trainingFolder(row: string, name: string): string {
  return path.join(resultsFolder, row, name);
}

export async function writeRecord(row: string, seed: number, record: ResultRecord): Promise<void> {
  const file = path.join(seedFolder(row, seed), "record.json");
  await writeFile(file, `${JSON.stringify(record, null, 2)}\n`);
}

/** @throws PenniError "bad-file" if there is none, or something else */
export async function readRecord(row: string, seed: number): Promise<ResultRecord> {
  const file = path.join(seedFolder(row, seed), "record.json");
  const advice = `Make it anew: npm run results -- ${row}`;
  if (!existsSync(file)) {
    throw new PenniError("bad-file", `row ${row}, seed ${seed} is not on record`, { file, advice });
  }
  const json = parseJson(await readText(file));
  const parsed = recordSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new PenniError("bad-file", "this is no record of a result", {
    file,
    found: json === undefined ? "no JSON" : issues.join("; "),
    advice,
  });
}

/** Seeds of a row that have a record, ascending. */
export async function recordedSeeds(row: string): Promise<readonly number[]> {
  const folder = path.join(resultsFolder, row);
  if (!existsSync(folder)) return [];
  const names = await readdir(folder);
  const seeds = names.flatMap((name) => {
    const [, seed] = /^seed-(\d+)$/.exec(name) ?? [];
    const isRecorded = existsSync(path.join(folder, name, "record.json"));
    return seed === undefined || !isRecorded ? [] : [Number(seed)];
  });
  return seeds.sort((a, b) => a - b);
}
