import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { readModel } from "../../files/model_files.js";
import { messageOf, PenniError } from "../../graph/errors.js";
import type { Graph } from "../../graph/types.js";
import { importForCompression } from "../../method/import_for_compression.js";
import { ANSWERS, type Answers, answersSchema } from "../../run/answers.js";
import type { RunConfig } from "../../run/config.js";
import { RunDirectory } from "../../run/directory.js";
import { LAYER_TIMES, type LayerTimesRecord, layerTimesSchema } from "../../run/layer_times.js";
import { RunLock } from "../../run/lock.js";
import { type KeptName, type StageName, stageNames } from "../../run/stages/names.js";
import { parseJson, readText } from "../../run/texts.js";
import { type TrainingConfig, trainingKind } from "../../run/training_config.js";
import { type EpochMetrics, epochMetricsSchema } from "../../train/plan.js";
import { type KernelView, kernelViews } from "./kernels.js";
import { type NetworkView, networkView } from "./network.js";
import {
  type Outcome,
  outcomeSchema,
  type TrainingOutcome,
  trainingOutcomeSchema,
} from "./outcome_schema.js";
import { readSessions, type Session } from "./sessions.js";

export type RunState = "running" | "finished" | "stopped";

/** What a report shows of a run, as far as it has come. */
export interface RunReport {
  /** The directory as the user names it. */
  readonly root: string;
  readonly state: RunState;
  readonly run:
    | { readonly kind: "compression"; readonly config: RunConfig; readonly outcome: Outcome | undefined }
    | {
        readonly kind: "training";
        readonly config: TrainingConfig;
        readonly outcome: TrainingOutcome | undefined;
      };
  readonly metrics: readonly EpochMetrics[];
  /** The stages whose networks are there, in the order of the method. */
  readonly stages: readonly StageName[];
  readonly network: NetworkView | undefined;
  /** The stage that the network's costs after are of. */
  readonly networkAfter: StageName | undefined;
  readonly kernels: readonly KernelView[];
  readonly answers: Answers | undefined;
  /** How long each layer takes when compiled, before and after. */
  readonly layerTimes: LayerTimesRecord | undefined;
  readonly sessions: readonly Session[];
  /** What could not be read, in sentences. */
  readonly problems: readonly string[];
}

/** Stages that make ready what came in. */
const preparing: readonly StageName[] = ["simplify", "normalize"];
/** Those of the others that have left a network, the furthest first. */
const furthest = stageNames.filter((stage) => !preparing.includes(stage)).toReversed();
/** Those in which layers still are on their bases. */
const onBases = furthest.filter((stage) => stage !== "export");

interface Drawn extends Pick<RunReport, "network" | "networkAfter" | "kernels"> {
  readonly problems: readonly string[];
}

/** Reads a run's directory, again and again: networks only where their files have changed. */
export class RunReader {
  private drawn: { readonly key: string; readonly value: Promise<Drawn> } | undefined;

  /** @param isDrawn whether the page shows the networks, which takes time to read */
  constructor(
    readonly root: string,
    private readonly isDrawn = true,
  ) {}

  /** @throws PenniError "bad-file" where there is no run, or its configuration cannot be read */
  async read(): Promise<RunReport> {
    const { root } = this;
    const problems: string[] = [];
    const opened = await this.open();
    const metrics = await this.metrics(problems);
    const answers = await this.json(ANSWERS, answersSchema, problems);
    const layerTimes = await this.json(LAYER_TIMES, layerTimesSchema, problems);
    const run =
      opened.kind === "compression"
        ? { ...opened, outcome: await this.json("summary.json", outcomeSchema, problems) }
        : { ...opened, outcome: await this.json("summary.json", trainingOutcomeSchema, problems) };
    const state = await this.state(run.outcome !== undefined);
    const drawn = await this.networks(run.kind);
    const stages = stageNames.filter((stage) => existsSync(this.stagePath(stage)));
    const sessions = await readSessions(root);
    const all = [...problems, ...drawn.problems];
    return { root, state, run, metrics, stages, answers, layerTimes, sessions, ...drawn, problems: all };
  }

  private async open(): Promise<
    | { readonly kind: "compression"; readonly config: RunConfig }
    | { readonly kind: "training"; readonly config: TrainingConfig }
  > {
    const { root } = this;
    const file = path.join(root, "config.json");
    if (!existsSync(file)) throw noRun(root);
    return trainingKind.safeParse(await readJson(file)).success
      ? { kind: "training", config: (await RunDirectory.openTraining(root)).config }
      : { kind: "compression", config: (await RunDirectory.open(root)).config };
  }

  private async state(isFinished: boolean): Promise<RunState> {
    try {
      await RunLock.checkFree(this.root);
      return isFinished ? "finished" : "stopped";
    } catch (error) {
      if (error instanceof PenniError) return "running";
      throw error;
    }
  }

  /** The whole lines that can be read. */
  private async metrics(problems: string[]): Promise<readonly EpochMetrics[]> {
    const file = path.join(this.root, "metrics.jsonl");
    if (!existsSync(file)) return [];
    const lines = (await readText(file)).split("\n").slice(0, -1);
    const read = lines.map((line) => epochMetricsSchema.safeParse(parseJson(line)).data);
    const damaged = read.filter((line) => line === undefined).length;
    if (damaged > 0)
      problems.push(`metrics.jsonl: ${damaged} of ${lines.length} lines are damaged and left out`);
    return read.filter((line) => line !== undefined);
  }

  private async json<Value>(
    name: string,
    schema: z.ZodType<Value>,
    problems: string[],
  ): Promise<Value | undefined> {
    const file = path.join(this.root, name);
    if (!existsSync(file)) return undefined;
    const found = schema.safeParse(await readJson(file));
    if (!found.success)
      problems.push(`${name} cannot be read and is left out: ${z.prettifyError(found.error)}`);
    return found.data;
  }

  private stagePath(stage: KeptName): string {
    return path.join(this.root, "stages", `${stage}.onnx`);
  }

  private async networks(kind: RunReport["run"]["kind"]): Promise<Drawn> {
    if (!this.isDrawn) return { network: undefined, networkAfter: undefined, kernels: [], problems: [] };
    const stages = ["original", ...stageNames] as const;
    const states = await Promise.all(
      stages.map((stage) => stat(this.stagePath(stage)).catch(() => undefined)),
    );
    const key = states.map((found) => (found === undefined ? "" : `${found.mtimeMs} ${found.size}`)).join();
    if (this.drawn?.key !== key) this.drawn = { key, value: this.draw(kind) };
    return this.drawn.value;
  }

  private async draw(kind: RunReport["run"]["kind"]): Promise<Drawn> {
    const problems: string[] = [];
    const nothing = { network: undefined, networkAfter: undefined, kernels: [] };
    const before = (await this.first(["simplify", "original"], problems))?.graph;
    if (before === undefined) return { ...nothing, problems };
    const after = kind === "training" ? undefined : await this.first(furthest, problems);
    const shared = kind === "training" ? undefined : await this.first(onBases, problems);
    try {
      return {
        network: networkView(before, after?.graph),
        networkAfter: after?.stage,
        kernels: shared === undefined ? [] : await kernelViews(shared.graph),
        problems: [...new Set(problems)],
      };
    } catch (error) {
      const problem = `the network cannot be drawn: ${messageOf(error)}`;
      return { ...nothing, problems: [...problems, problem] };
    }
  }

  /** The first of some networks that is there and can be read. */
  private async first<Name extends KeptName>(
    stages: readonly Name[],
    problems: string[],
  ): Promise<{ readonly stage: Name; readonly graph: Graph } | undefined> {
    for (const stage of stages) {
      const file = this.stagePath(stage);
      if (!existsSync(file)) continue;
      try {
        return { stage, graph: importForCompression(await readModel(file)) };
      } catch (error) {
        if (!(error instanceof PenniError)) throw error;
        problems.push(`stages/${stage}.onnx cannot be read and is left out: ${error.message}`);
      }
    }
    return undefined;
  }
}

function noRun(root: string): PenniError {
  return new PenniError("bad-file", "there is no run in this directory", {
    file: root,
    expected: "config.json, as penni compress -o DIR and penni train -o DIR write it",
    found: existsSync(root) ? "a directory or file without it" : "nothing of this name",
    advice: "Name the directory that was given as -o",
  });
}

/** Undefined where it is no JSON. */
async function readJson(file: string): Promise<unknown> {
  return parseJson(await readText(file));
}
