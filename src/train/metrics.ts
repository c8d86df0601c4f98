import { existsSync } from "node:fs";
import { appendFile, readFile } from "node:fs/promises";
import { PenniError } from "../graph/errors.js";
import { ioError, writeFileAtomic } from "../onnx/atomic.js";
import type { EpochMetrics } from "./plan.js";

/**
 * Appends an epoch's line to `metrics.jsonl`, unless the epoch has one: a run that was killed after writing it
 * and before its checkpoint trains the epoch once more. A line that a kill cut short is removed first.
 * @throws PenniError "io" if the file cannot be read or written, "bad-file" if a line is not JSON
 */
export async function appendMetrics(file: string, metrics: EpochMetrics): Promise<void> {
  const text = await readText(file);
  const whole = wholeLines(text);
  if (whole.length < text.length) await writeFileAtomic(file, whole);
  const known = parseLines(file, whole);
  if (known.some((line) => line.stage === metrics.stage && line.step === metrics.step)) return;
  try {
    await appendFile(file, `${JSON.stringify(metrics)}\n`);
  } catch (error) {
    throw ioError(file, "cannot write the metrics", error);
  }
}

/** The whole lines of `metrics.jsonl`, none if there is no such file. Throws as `appendMetrics` does. */
export async function readMetrics(file: string): Promise<EpochMetrics[]> {
  return parseLines(file, wholeLines(await readText(file)));
}

async function readText(file: string): Promise<string> {
  if (!existsSync(file)) return "";
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw ioError(file, "cannot read the metrics", error);
  }
}

function wholeLines(text: string): string {
  return text.slice(0, text.lastIndexOf("\n") + 1);
}

function parseLines(file: string, text: string): EpochMetrics[] {
  const lines = text.split("\n").slice(0, -1);
  return lines.map((line, index) => {
    try {
      return JSON.parse(line) as EpochMetrics;
    } catch {
      throw new PenniError("bad-file", `line ${index + 1} is damaged`, {
        file,
        expected: "one JSON object in each line",
        advice: "Remove the line and resume again",
      });
    }
  });
}
