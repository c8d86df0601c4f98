import { existsSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { ioError, writeFileAtomic } from "../files/atomic.js";
import { PenniError } from "../graph/errors.js";
import { type EpochMetrics, epochMetricsSchema } from "../train/plan.js";
import { parseJson, readBytes, readText } from "./texts.js";

/** Removes a last line that has no end: another one would be appended to it. */
export async function removePartOfLine(file: string): Promise<void> {
  if (!existsSync(file)) return;
  const bytes = await readBytes(file);
  const whole = bytes.subarray(0, bytes.lastIndexOf("\n") + 1);
  if (whole.length < bytes.length) await writeFileAtomic(file, whole);
}

export async function appendLine(file: string, value: unknown): Promise<void> {
  await removePartOfLine(file);
  try {
    await appendFile(file, `${JSON.stringify(value)}\n`);
  } catch (error) {
    throw ioError(file, "cannot append to the file", error);
  }
}

/** Appends an epoch's line, unless the file has it already. */
export async function appendMetrics(file: string, metrics: EpochMetrics): Promise<void> {
  // A damaged line is no reason to end a training.
  const lines = (await wholeLines(file)).map((line) => epochMetricsSchema.safeParse(parseJson(line)).data);
  if (lines.some((line) => line?.stage === metrics.stage && line.step === metrics.step)) return;
  await appendLine(file, metrics);
}

/** The whole lines. @throws PenniError "bad-file" naming one that is damaged */
export async function readMetrics(file: string): Promise<EpochMetrics[]> {
  const lines = await wholeLines(file);
  return lines.map((line, index) => parseMetrics(file, line, index + 1));
}

async function wholeLines(file: string): Promise<readonly string[]> {
  return existsSync(file) ? (await readText(file)).split("\n").slice(0, -1) : [];
}

function parseMetrics(file: string, line: string, number: number): EpochMetrics {
  const metrics = epochMetricsSchema.safeParse(parseJson(line));
  if (metrics.success) return metrics.data;
  throw new PenniError("bad-file", `line ${number} of the metrics is damaged`, {
    file,
    advice: "Remove the line",
  });
}
