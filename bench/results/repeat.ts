import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { last } from "../../src/graph/at.js";
import { sharedPath } from "../../support/shared.js";
import { output } from "../compression_run.js";
import { judge, measureModel } from "./measure.js";
import { keepRun, keepTraining, modelFile, seedFolder, writeRecord } from "./record.js";
import type { Row } from "./rows.js";

const main = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

/** The options that make a run, and how it is gone on with. */
interface Step {
  readonly command: "new" | "train" | "compress";
  readonly args: readonly string[];
  /** The run's directory, or the file that the step makes. */
  readonly out: string;
  /** The model that the step ends with. */
  readonly result: string;
}

/** The steps that make a compressed model in a working directory. */
export function stepsOf(row: Row, seed: number, work: string): readonly Step[] {
  const { network, classes, image, data, baseline, compress } = row;
  const at = (name: string): string => path.join(work, row.id, name);
  const model = (run: string): string => path.join(run, "model.onnx");
  const compressing = (from: string): Step => ({
    command: "compress",
    args: [from, "--data", data, "--seed", `${seed}`, ...compress],
    out: at(`seed-${seed}`),
    result: model(at(`seed-${seed}`)),
  });
  if (baseline.kind === "shared") return [compressing(sharedPath(baseline.file))];
  const untrained = at("untrained.onnx");
  const make = ["--classes", `${classes}`, "--input", image.join("x")];
  const steps: Step[] = [{ command: "new", args: [network, ...make], out: untrained, result: untrained }];
  for (const [index, options] of baseline.trainings.entries()) {
    const isLast = index === baseline.trainings.length - 1;
    const out = at(isLast ? "baseline" : `baseline-${index + 1}`);
    const args = [last(steps).result, "--data", data, ...options];
    steps.push({ command: "train", args, out, result: model(out) });
  }
  return [...steps, compressing(last(steps).result)];
}

/** A step as a user would write it. */
export function commandLine({ command, args, out }: Step): string {
  return ["penni", command, ...args, "-o", out].join(" ");
}

/**
 * Makes a row's models anew, or goes on with what was begun in the working directory, and keeps them in `results/`.
 * @throws PenniError "training" if a step fails or is stopped; the same call goes on from there
 */
export async function repeat(row: Row, work: string, seeds: readonly number[]): Promise<void> {
  await mkdir(path.join(work, row.id), { recursive: true });
  for (const seed of seeds) {
    const steps = stepsOf(row, seed, work);
    for (const step of steps) await carryOut(step);
    const last = steps.at(-1);
    if (last === undefined) continue;
    const [from = ""] = last.args;
    for (const { command, out } of steps) if (command === "train") await keepTraining(out, row.id);
    await keepRun(last.out, seedFolder(row.id, seed));
    await writeRecord(row.id, seed, {
      commands: steps.map(commandLine),
      baseline: await judge(row, from),
      measured: await measureModel(row, modelFile(row.id, seed)),
    });
  }
}

/** What a step prints is shown; where it was begun before, it is gone on with. */
async function carryOut(step: Step): Promise<void> {
  if (existsSync(step.result)) return;
  const isBegun = step.command !== "new" && existsSync(step.out);
  const args = isBegun ? ["--resume", step.out] : [...step.args, "-o", step.out];
  await output(process.execPath, [main, step.command, ...args]);
}
