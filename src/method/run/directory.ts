import { existsSync } from "node:fs";
import { appendFile, mkdir, readdir, readFile, rename, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { PenniError } from "../../graph/errors.js";
import type { Graph } from "../../graph/types.js";
import { ioError, isTemporaryFile, writeFileAtomic } from "../../onnx/atomic.js";
import { readModel, writeModel } from "../../onnx/files.js";
import { type EpochMetrics, epochMetricsSchema } from "../../train/plan.js";
import { configSchema, type RunConfig } from "./config.js";

const CONFIG = "config.json";
const FOLDERS = ["checkpoints", "stages"] as const;

/**
 * A run's directory: `config.json`, `metrics.jsonl`, `checkpoints/`, `stages/` (the network after each
 * stage), `model.onnx`, `summary.json`. Every file but the metrics is written whole or not at all, so a run
 * killed at any moment can be resumed from what is there.
 */
export class RunDirectory {
  private constructor(
    readonly root: string,
    readonly config: RunConfig,
  ) {}

  /**
   * Starts a new run on a network. The directory appears whole or not at all; one that is there already (it
   * may be a mount point, which cannot be replaced) gets `config.json` last.
   * @throws PenniError "io" if the directory holds anything already or cannot be written
   */
  static async create(root: string, config: RunConfig, original: Graph): Promise<RunDirectory> {
    await RunDirectory.checkFree(root);
    const target = path.resolve(root);
    const isThere = existsSync(target);
    const draft = new RunDirectory(
      isThere ? path.join(target, ".new") : `${target}.new-${process.pid}`,
      config,
    );
    let made: string | undefined;
    try {
      made = await makeDirectory(draft.root);
      for (const folder of FOLDERS) await mkdir(draft.path(folder));
      await writeModel(draft.stagePath("original"), original);
      await draft.writeJson(CONFIG, config);
      if (isThere) await moveEntries(draft.root, target, [...FOLDERS, CONFIG]);
      else await rename(draft.root, target);
    } catch (error) {
      const written = isThere ? [draft.root, ...FOLDERS.map((name) => path.join(target, name))] : [made];
      for (const entry of written) if (entry !== undefined) await rm(entry, { recursive: true, force: true });
      throw ioError(root, "cannot create the run's directory", error);
    }
    return new RunDirectory(root, config);
  }

  /** Opens a run that was started before. @throws PenniError "bad-file" if the directory holds no run */
  static async open(root: string): Promise<RunDirectory> {
    const file = path.join(root, CONFIG);
    if (!existsSync(file)) {
      throw new PenniError("bad-file", "there is no run to resume", {
        file: root,
        expected: "a directory with config.json",
        advice: "Start one with: penni compress MODEL --data SPEC -o DIR",
      });
    }
    const config = configSchema.safeParse(parseJson(await readText(file)));
    if (config.success) {
      const run = new RunDirectory(root, config.data);
      await run.removeTemporaryFiles();
      return run;
    }
    throw new PenniError("bad-file", "the run's configuration cannot be read", {
      file,
      found: config.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "),
      advice: "Start a new run directory",
    });
  }

  /** @throws PenniError "io" if the directory exists and is not empty */
  static async checkFree(root: string): Promise<void> {
    const entries = existsSync(root) ? await listDirectory(root) : [];
    if (entries.length === 0) return;
    const isRun = entries.includes(CONFIG);
    throw new PenniError(
      "io",
      isRun ? "there is a run in this directory already" : "this directory is not empty",
      {
        file: root,
        advice: isRun ? `Go on with it: penni compress --resume ${root}` : "Choose a new directory with -o",
      },
    );
  }

  path(...parts: string[]): string {
    return path.join(this.root, ...parts);
  }

  checkpointPath(stage: string): string {
    return this.path("checkpoints", `${stage}.ckpt`);
  }

  stagePath(stage: string): string {
    return this.path("stages", `${stage}.onnx`);
  }

  /** The network after a stage, made and written now unless an earlier attempt has done so. */
  async stage(stage: string, make: () => Promise<Graph> | Graph): Promise<Graph> {
    const file = this.stagePath(stage);
    if (!existsSync(file)) await writeModel(file, await make());
    return readModel(file);
  }

  async writeJson(name: string, value: unknown): Promise<void> {
    await writeFileAtomic(this.path(name), `${JSON.stringify(value, null, 2)}\n`);
  }

  /** Appends an epoch's line, unless a run that was killed afterwards has written it before. */
  async appendMetrics(metrics: EpochMetrics): Promise<void> {
    const lines = await this.readMetrics();
    if (lines.some((line) => line.stage === metrics.stage && line.step === metrics.step)) return;
    const file = this.path("metrics.jsonl");
    try {
      await appendFile(file, `${JSON.stringify(metrics)}\n`);
    } catch (error) {
      throw ioError(file, "cannot append to the metrics", error);
    }
  }

  /** The whole lines of `metrics.jsonl`; a line cut short by a kill is removed. */
  async readMetrics(): Promise<EpochMetrics[]> {
    const file = this.path("metrics.jsonl");
    if (!existsSync(file)) return [];
    const text = await readText(file);
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (whole.length < text.length) await writeFileAtomic(file, whole);
    return whole
      .split("\n")
      .slice(0, -1)
      .map((line, index) => parseMetrics(file, line, index + 1));
  }

  /** Removes what writing left behind when a kill cut it short. */
  private async removeTemporaryFiles(): Promise<void> {
    for (const folder of ["", ...FOLDERS].map((name) => this.path(name))) {
      const names = existsSync(folder) ? await listDirectory(folder) : [];
      for (const name of names.filter(isTemporaryFile)) await rm(path.join(folder, name), { force: true });
    }
  }
}

/**
 * Makes a directory and those above it that are missing; returns the first one made. (Node's own way to do so
 * never ends where the system answers "no such directory" all the time, as /proc does.)
 */
async function makeDirectory(directory: string): Promise<string> {
  const parent = path.dirname(directory);
  const first = existsSync(parent) ? directory : await makeDirectory(parent);
  await mkdir(directory);
  return first;
}

async function moveEntries(from: string, to: string, names: readonly string[]): Promise<void> {
  for (const name of names) await rename(path.join(from, name), path.join(to, name));
  await rmdir(from);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw ioError(file, "cannot read the file", error);
  }
}

function parseMetrics(file: string, line: string, number: number): EpochMetrics {
  const metrics = epochMetricsSchema.safeParse(parseJson(line));
  if (metrics.success) return metrics.data;
  throw new PenniError("bad-file", `line ${number} of the metrics is damaged`, {
    file,
    advice: "Remove the line",
  });
}

async function listDirectory(root: string): Promise<string[]> {
  try {
    return await readdir(root);
  } catch (error) {
    throw ioError(root, "cannot read the directory", error);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
