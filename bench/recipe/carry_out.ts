import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { PenniError } from "../../src/graph/errors.js";
import type { Summary } from "../../src/run/summary.js";
import { output } from "../compression_run.js";
import { findPyTorch, PYTORCH_ADVICE } from "../pytorch.js";
import { compressInPyTorch } from "../pytorch_run.js";
import type { Arm, Setting } from "./arms.js";
import { type Options, optionsOf, recordedOptions, recordOptions } from "./recorded.js";

/** What all arms are run on. */
export interface Place extends Setting {
  /** Where runs are kept. */
  readonly out: string;
  readonly model: string;
  /** CIFAR-10 in its binary layout. */
  readonly data: string;
  readonly trainLimit?: number | undefined;
  readonly threads: number;
}

const outcomeSchema = z.object({
  /** Top-1 on the test images, 0 to 1. */
  test: z.number(),
  /** As shares of the original's: non-zero parameters, and multiply-accumulates (paper and executed count). */
  parameters: z.number(),
  macs: z.number(),
  executed: z.number(),
  /** Of training steps, or for PyTorch of all: cut or not, whatever else ran. */
  seconds: z.number(),
});

type Figures = z.infer<typeof outcomeSchema>;

export interface Outcome extends Figures {
  /** What it was made with; undefined where that was not recorded. */
  readonly options: Options | undefined;
}

/** The directory of one run. What decides what it comes to, and is not in the arm, is in the path. */
export function runFolder(arm: Arm, seed: number, place: Place): string {
  const { out, epochs, targetMacs, trainLimit } = place;
  const model = path.basename(place.model, ".onnx");
  const limit = trainLimit === undefined ? "" : `-${trainLimit}-images`;
  return path.join(out, `${model}-${epochs}-epochs-${targetMacs}${limit}`, arm.name, `seed-${seed}`);
}

/** What `penni` is called with; of a run that was begun, how it is gone on with. */
export function commandOf(arm: Arm, seed: number, place: Place): readonly string[] | undefined {
  if (arm.run.by !== "penni") return undefined;
  const folder = runFolder(arm, seed, place);
  if (existsSync(folder)) return ["compress", "--resume", folder];
  const { model, data, trainLimit, threads } = place;
  return [
    ...["compress", model, "--data", `cifar10:${data}`, "--seed", `${seed}`, "--threads", `${threads}`],
    ...(trainLimit === undefined ? [] : ["--train-limit", `${trainLimit}`]),
    ...optionsOf(arm, place),
    ...["-o", folder],
  ];
}

/** What a finished run came to; undefined for one that is not finished. */
export async function outcomeOf(arm: Arm, seed: number, place: Place): Promise<Outcome | undefined> {
  const folder = runFolder(arm, seed, place);
  const figures = await figuresOf(arm, folder);
  return figures && { ...figures, options: await recordedOptions(folder) };
}

async function figuresOf(arm: Pick<Arm, "run">, folder: string): Promise<Figures | undefined> {
  if (arm.run.by === "pytorch") {
    const file = path.join(folder, "outcome.json");
    return existsSync(file) ? outcomeSchema.parse(JSON.parse(await readFile(file, "utf8"))) : undefined;
  }
  const file = path.join(folder, "summary.json");
  if (!existsSync(file)) return undefined;
  const { original, compressed } = JSON.parse(await readFile(file, "utf8")) as Summary;
  const { test } = compressed;
  if (test === undefined) throw new PenniError("bad-data", "an arm is judged by labels", { file });
  return {
    test: test.correct / test.total,
    parameters: compressed.parameters / original.parameters,
    macs: compressed.paperMacs / original.paperMacs,
    executed: compressed.executedMacs / original.executedMacs,
    seconds: await trainingSeconds(folder),
  };
}

const timingSchema = z.object({ seconds: z.number() });

async function trainingSeconds(folder: string): Promise<number> {
  const file = path.join(folder, "timing.jsonl");
  if (!existsSync(file)) return 0;
  const lines = (await readFile(file, "utf8")).split("\n").filter((line) => line !== "");
  return lines.reduce((sum, line) => sum + timingSchema.parse(JSON.parse(line)).seconds, 0);
}

const main = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

/**
 * Runs an arm once, or goes on with what was begun.
 * @returns why not, where the machine lacks what it takes
 * @throws PenniError "training" if it fails or is stopped; the same call goes on from there; "bad-option" if it was begun
 * with other options
 */
export async function carryOut(arm: Arm, seed: number, place: Place): Promise<string | undefined> {
  const command = commandOf(arm, seed, place);
  if (command !== undefined) {
    await recordOptions(runFolder(arm, seed, place), optionsOf(arm, place));
    await output(process.execPath, [main, ...command]);
    return undefined;
  }
  if (!path.basename(place.model).startsWith("resnet20"))
    return "the script in PyTorch knows ResNet-20 alone";
  const python = findPyTorch();
  if (python === undefined) return PYTORCH_ADVICE;
  await runPyTorch(python, arm, seed, place);
  return undefined;
}

/** The script keeps nothing that it could go on with, so a run that was cut begins anew. */
async function runPyTorch(python: string, arm: Arm, seed: number, place: Place): Promise<void> {
  const { model, data, trainLimit, threads } = place;
  const folder = runFolder(arm, seed, place);
  await rm(folder, { recursive: true, force: true });
  await recordOptions(folder, optionsOf(arm, place));
  await mkdir(folder, { recursive: true });
  const numbers = {
    "--threads": threads,
    "--seed": seed,
    ...(trainLimit === undefined ? {} : { "--train-limit": trainLimit }),
  };
  const options = [...optionsOf(arm, place), ...Object.entries(numbers).flat().map(String)];
  const outcome = await compressInPyTorch(python, folder, { model, data, options });
  await writeFile(path.join(folder, "outcome.json"), `${JSON.stringify(outcome)}\n`);
}
