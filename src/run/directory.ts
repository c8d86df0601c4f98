import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import type { Device } from "../execute/device.js";
import { ioError, isTemporaryFile, writeFileAtomic } from "../files/atomic.js";
import { checkDirectoryPath, makeDirectory, removeEmpty } from "../files/directories.js";
import { readModel, writeModel } from "../files/model_files.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import type { EpochMetrics, EpochTiming } from "../train/plan.js";
import { configSchema, type RunConfig } from "./config.js";
import { CONFIG, checkEmpty, DRAFT, FOLDERS, readConfig } from "./config_file.js";
import { Digests } from "./digests.js";
import { appendLine, appendMetrics, readMetrics, removePartOfLine } from "./line_files.js";
import { RunLock } from "./lock.js";
import { type KeptName, type StartName, startNames } from "./stages/names.js";
import { readText } from "./texts.js";
import { type TrainingConfig, trainingConfigSchema } from "./training_config.js";

/** Networks that a run needs besides the one it is started with. */
interface OtherNetworks {
  /** What is to be put behind the result again. */
  readonly rest?: Graph | undefined;
  /** What is learned from in place of the original. */
  readonly teacher?: Graph | undefined;
}

interface StartNetworks extends OtherNetworks {
  readonly original: Graph;
}

/** Files that grow line by line. */
const METRICS = "metrics.jsonl";
const TIMING = "timing.jsonl";

/** What `config.json` may be of: a compression or a training. */
type AnyConfig = RunConfig | TrainingConfig;

/**
 * A run's directory: `config.json`, `metrics.jsonl`, `timing.jsonl`, `checkpoints/`, `stages/` (the network after
 * each stage), `model.onnx`, `summary.json`. Every file but the two of lines is written whole or not at all, so a
 * run killed at any moment can be resumed from what is there.
 */
export class RunDirectory<Config extends AnyConfig = RunConfig> {
  private readonly digests: Digests;

  private constructor(
    readonly root: string,
    readonly config: Config,
  ) {
    this.digests = new Digests(path.join(root, "stages"));
  }

  /**
   * Starts a new run on a network. The directory appears whole or not at all; one that is there already (it
   * may be a mount point, which cannot be replaced) gets `config.json` last.
   * @param others what the run needs besides
   * @throws PenniError "io" if the directory holds anything already or cannot be written
   */
  static async create<Config extends AnyConfig>(
    root: string,
    config: Config,
    original: Graph,
    others: OtherNetworks = {},
  ): Promise<RunDirectory<Config>> {
    await RunDirectory.checkFree(root);
    const target = path.resolve(root);
    try {
      if (existsSync(target)) await RunDirectory.fill(target, config, { original, ...others });
      else await RunDirectory.make(target, config, { original, ...others });
    } catch (error) {
      throw ioError(root, "cannot create the run's directory", error);
    }
    return new RunDirectory(root, config);
  }

  /** Makes a directory that is not there, under another name first. */
  private static async make(target: string, config: AnyConfig, networks: StartNetworks): Promise<void> {
    const draft = new RunDirectory(`${target}.new-${randomBytes(6).toString("hex")}`, config);
    const first = await makeDirectory(draft.root);
    try {
      await draft.writeStart(networks);
      await rename(draft.root, target);
    } catch (error) {
      await rm(draft.root, { recursive: true, force: true });
      await removeEmpty(path.dirname(draft.root), first);
      // Somebody else may have been faster.
      await RunDirectory.checkFree(target);
      throw error;
    }
  }

  /** Fills a directory that is there, its configuration last. */
  private static async fill(target: string, config: AnyConfig, networks: StartNetworks): Promise<void> {
    const lock = await RunLock.acquire(target);
    try {
      await checkEmpty(target);
      const draft = new RunDirectory(path.join(target, DRAFT), config);
      try {
        await rm(draft.root, { recursive: true, force: true });
        await mkdir(draft.root);
        await draft.writeStart(networks);
        for (const name of [...FOLDERS, CONFIG]) await rename(draft.path(name), path.join(target, name));
        await rmdir(draft.root);
      } catch (error) {
        for (const name of [DRAFT, ...FOLDERS])
          await rm(path.join(target, name), { recursive: true, force: true });
        throw error;
      }
    } finally {
      await lock.release();
    }
  }

  private async writeStart(networks: StartNetworks): Promise<void> {
    for (const folder of FOLDERS) await mkdir(this.path(folder));
    for (const [name, network] of Object.entries(networks) as [StartName, Graph | undefined][])
      if (network !== undefined) await writeModel(this.stagePath(name), network);
    await this.digests.record(startNames.flatMap((name) => filesOf(name)));
    await this.writeJson(CONFIG, this.config);
  }

  /**
   * Opens a run that was started before.
   * @param device where to go on, if not where the run was started
   * @throws PenniError "bad-file" if the directory holds no run
   */
  static async open(root: string, device?: Device): Promise<RunDirectory> {
    const config = await readConfig(root, "compression", configSchema);
    const settings = { ...config.settings, ...(device && { device }) };
    return new RunDirectory(root, { ...config, settings });
  }

  /** The same for a training (`penni train`). */
  static async openTraining(root: string, device?: Device): Promise<RunDirectory<TrainingConfig>> {
    const config = await readConfig(root, "training", trainingConfigSchema);
    const settings = { ...config.settings, ...(device && { device }) };
    return new RunDirectory(root, { ...config, settings });
  }

  /** @throws PenniError as `checkDirectoryPath`; "io" also if it is not empty, or another process works in it */
  static async checkFree(root: string): Promise<void> {
    checkDirectoryPath(root);
    if (!existsSync(root)) return;
    await RunLock.checkFree(root);
    await checkEmpty(root);
  }

  path(...parts: string[]): string {
    return path.join(this.root, ...parts);
  }

  checkpointPath(stage: KeptName): string {
    return this.path("checkpoints", `${stage}.ckpt`);
  }

  stagePath(stage: KeptName): string {
    return this.path("stages", `${stage}.onnx`);
  }

  /** The network that the run was started with. @throws PenniError "bad-file" if it is not as it was written */
  readOriginal(): Promise<Graph> {
    return this.readStart("original");
  }

  /** What is behind the network and cannot be run (see `cutBefore`), if the run has such a part. */
  async readRest(): Promise<Graph | undefined> {
    return existsSync(this.stagePath("rest")) ? this.readStart("rest") : undefined;
  }

  /** What nothing can be made again from. */
  private async readStart(stage: StartName): Promise<Graph> {
    await this.checkStart(stage);
    return readModel(this.stagePath(stage));
  }

  /** @throws PenniError "bad-file" if a network that the run was started with is not as it was written */
  private async checkStart(stage: StartName): Promise<void> {
    const isGone = await this.digests.isGone(`${stage}.onnx`);
    if (!isGone && !(await this.isChanged(stage))) return;
    const message = isGone
      ? "the network that the run was started with is gone"
      : "the network that the run was started with has changed";
    throw new PenniError("bad-file", message, {
      file: this.stagePath(stage),
      expected: `what ${this.digests.file} says`,
      advice: "Put the file back, or start a new run directory",
    });
  }

  /**
   * The network after a stage, made and written now unless an earlier attempt has done so; what is damaged is made
   * again.
   */
  async stage(
    stage: KeptName,
    make: () => Promise<Graph> | Graph,
    notice?: (text: string) => void,
  ): Promise<Graph> {
    await this.complete(stage, make, notice);
    return readModel(this.stagePath(stage));
  }

  /** The same without reading the network: whoever waits for hours should not hold one meanwhile. */
  async complete(
    stage: KeptName,
    make: () => Promise<Graph> | Graph,
    notice?: (text: string) => void,
  ): Promise<void> {
    const file = this.stagePath(stage);
    const isDamaged = await this.isChanged(stage);
    if (isDamaged) notice?.(`${file} is damaged: the stage is done again`);
    if (isDamaged || !existsSync(file)) {
      await writeModel(file, await make());
      await this.digests.record(filesOf(stage));
    }
  }

  /** Copies a file of the run, if it is there. */
  async copy(from: string, to: string): Promise<void> {
    if (existsSync(this.path(from))) await writeFileAtomic(this.path(to), await readText(this.path(from)));
  }

  /** Removes the network after a stage, all that a training of that name has left, and other files. */
  async removeStage(stage: KeptName, others: readonly string[] = []): Promise<void> {
    const network = this.stagePath(stage);
    const result = this.path("checkpoints", `${stage}.onnx`);
    const files = [network, `${network}.data`, result, `${result}.data`];
    const checkpoints = [this.checkpointPath(stage), this.path("checkpoints", `${stage}.previous.ckpt`)];
    for (const file of [...files, ...checkpoints, ...others.map((name) => this.path(name))]) {
      try {
        await rm(file, { force: true });
      } catch (error) {
        throw ioError(file, "cannot remove a file of the run", error);
      }
    }
  }

  private async isChanged(stage: KeptName): Promise<boolean> {
    for (const name of filesOf(stage)) if (await this.digests.isChanged(name)) return true;
    return false;
  }

  async writeJson(name: string, value: unknown): Promise<void> {
    await writeFileAtomic(this.path(name), `${JSON.stringify(value, null, 2)}\n`);
  }

  /** Appends an epoch's line, unless a run that was killed afterwards has written it before. */
  async appendMetrics(metrics: EpochMetrics): Promise<void> {
    await appendMetrics(this.path(METRICS), metrics);
  }

  /** Appends how long an epoch took. An epoch that was cut short and resumed has several lines. */
  async appendTiming(timing: EpochTiming): Promise<void> {
    await appendLine(this.path(TIMING), timing);
  }

  /** The whole lines of `metrics.jsonl`. */
  readMetrics(): Promise<EpochMetrics[]> {
    return readMetrics(this.path(METRICS));
  }

  /**
   * Makes folders that are missing (what was in them is made again), and removes what writing left behind when a kill
   * cut it short, whole files and ends of lines; only for whoever has locked the directory.
   * @throws PenniError "io" if what is in a folder's place is none, or nothing can be changed; "bad-file" if what nothing
   *   can be made again from (the original, what is behind it, the teacher) is not as it was written
   */
  async restore(): Promise<void> {
    for (const folder of ["", ...FOLDERS].map((name) => this.path(name))) {
      try {
        if (!existsSync(folder)) await mkdir(folder);
        for (const name of (await readdir(folder)).filter(isTemporaryFile))
          await rm(path.join(folder, name), { force: true, recursive: true });
      } catch (error) {
        throw ioError(folder, "cannot work in the run's directory", error);
      }
    }
    for (const name of [METRICS, TIMING]) await removePartOfLine(this.path(name));
    for (const name of startNames) await this.checkStart(name);
  }
}

/** The files that a stage's network is in. */
const filesOf = (stage: KeptName): readonly string[] => [`${stage}.onnx`, `${stage}.onnx.data`];
