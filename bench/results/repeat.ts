import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { last } from "../../src/graph/at.js";
import { sharedPath } from "../../support/shared.js";
import { output } from "../compression_run.js";
import { judge, measureModel } from "./measure.js";
import { takenOver } from "./origin.js";
import { keepRun, keepTraining, modelFile, seedFolder, writeRecord } from "./record.js";
import { type Row, trainingName } from "./rows.js";

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
  const { data, compress } = row;
  const before = stepsBefore(row, work);
  const out = path.join(work, row.id, `seed-${seed}`);
  const args = [startingModel(row, before), "--data", data, "--seed", `${seed}`, ...compress];
  return [...before, { command: "compress", args, out, result: path.join(out, "model.onnx") }];
}

/** The network that is compressed. */
function startingModel({ origin }: Row, before: readonly Step[]): string {
  return origin.kind === "shared" ? sharedPath(origin.file) : last(before).result;
}

function stepsBefore(row: Row, work: string): readonly Step[] {
  const { network, classes, image, origin } = row;
  if (origin.kind === "shared") return [];
  // As a user in the project's folder names it, not as this machine does.
  if (origin.kind === "compressed")
    return trainings(row, work, path.relative("", modelFile(origin.row, origin.seed)));
  const untrained = path.join(work, row.id, "untrained.onnx");
  const args = [network, "--classes", `${classes}`, "--input", image.join("x")];
  return [{ command: "new", args, out: untrained, result: untrained }, ...trainings(row, work, untrained)];
}

/** One training after the other, the last in a folder with the origin's name. */
function trainings({ id, data, origin }: Row, work: string, from: string): readonly Step[] {
  const steps: Step[] = [];
  if (origin.kind === "shared") return steps;
  const name = trainingName(origin.kind);
  for (const [index, options] of origin.trainings.entries()) {
    const isLast = index === origin.trainings.length - 1;
    const out = path.join(work, id, isLast ? name : `${name}-${index + 1}`);
    const args = [steps.at(-1)?.result ?? from, "--data", data, ...options];
    steps.push({ command: "train", args, out, result: path.join(out, "model.onnx") });
  }
  return steps;
}

/** A step as a user would write it. */
export function commandLine({ command, args, out }: Step): string {
  return ["penni", command, ...args, "-o", out].join(" ");
}

/**
 * Makes a row's models anew, or goes on with what was begun in the working directory, and keeps them in `results/`.
 * @throws PenniError "training" if a step fails or is stopped; the same call goes on from there; "bad-file" if the row that
 * it starts from is not on record
 */
export async function repeat(row: Row, work: string, seeds: readonly number[]): Promise<void> {
  // What is missing is said now, not hours later.
  const taken = row.origin.kind === "compressed" ? await takenOver(row.origin) : undefined;
  await mkdir(path.join(work, row.id), { recursive: true });
  for (const seed of seeds) {
    const steps = stepsOf(row, seed, work);
    for (const step of steps) await carryOut(step);
    for (const { command, out } of steps) if (command === "train") await keepTraining(out, row.id);
    await keepRun(last(steps).out, seedFolder(row.id, seed));
    await writeRecord(row.id, seed, {
      commands: steps.map(commandLine),
      ...(taken ?? { baseline: await judge(row, startingModel(row, stepsBefore(row, work))) }),
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
