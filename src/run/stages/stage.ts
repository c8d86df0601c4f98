import { collectLargeGarbage } from "../../execute/garbage.js";
import { readModel } from "../../files/model_files.js";
import { PenniError } from "../../graph/errors.js";
import { verifyAfter } from "../../graph/passes/pass.js";
import { isSelfChecking } from "../../graph/self_check.js";
import type { Graph } from "../../graph/types.js";
import type { CriterionRule } from "../../method/criteria/table.js";
import { verifyTypes } from "../../ops/inference/verify.js";
import type { RunConfig, Settings } from "../config.js";
import type { RunContext } from "../context.js";
import type { RunDirectory } from "../directory.js";
import type { KeptName, StageName, TrySuffix } from "./names.js";

/**
 * What a stage makes of a network, or a network to those that come later. Where several stages give the same, the
 * last one before counts.
 */
export type Product =
  /** What came in, imported. */
  | "imported"
  /** Whose outputs are learned from. */
  | "teacher"
  /** What fractions of multiply-accumulates are of; later networks have values of the same names. */
  | "normalized"
  /** A network whose channels were cut away, and which has not recovered. */
  | "narrow"
  /** A network that computes what the teacher does, or has learned to: its kernels are worth keeping. */
  | "whole"
  /** Coefficients and bases in the place of kernels. */
  | "decomposed"
  /** Zeros that are to stay. */
  | "pruned"
  /** A network that computes what the result will. */
  | "trained"
  /** A network as it is written. */
  | "exported";

/** What of a configuration decides which stages give what. */
export type Choices = Pick<RunConfig, "teacher"> & {
  readonly settings: Pick<Settings, "channels" | "prune">;
};

/** The networks of earlier stages that a stage takes. */
export interface Networks<Taken extends Product> {
  /** Path of the file that a network is in. */
  file(product: Taken): string;
  read(product: Taken): Promise<Graph>;
}

/** What a stage may use. */
export interface StageContext<Taken extends Product = Product> extends RunContext {
  /** Under which the stage's network is kept. */
  readonly name: KeptName & `${StageName}${TrySuffix}`;
  /** Path of the file that the network before the stage is in. */
  readonly file: string;
  readonly networks: Networks<Taken>;
}

/** What the plan of a stage depends on. */
export interface StagePlanContext {
  readonly settings: Pick<Settings, "basis" | "channels" | "channelMultiple"> & {
    /** Instead of a goal, what it is expected to come to. */
    readonly prune: CriterionRule;
  };
  /** What the plan is for. */
  readonly original: Graph;
}

/** A stage without its name. */
export interface StageDefinition<Taken extends Product = Product> {
  /** What there must be before the stage: of the network that it is applied to, and of others. */
  readonly takes: readonly Taken[];
  readonly gives: (choices: Choices) => readonly Product[];
  /** What is no longer so after the stage, whoever gave it. */
  readonly ends?: readonly Product[];
  /** The network after the stage, from the network before it. */
  readonly apply: (graph: Graph, context: StageContext<NoInfer<Taken>>) => Promise<Graph> | Graph;
  /** The same as far as it can be told without images and training; by default the network stays as it is. */
  readonly plan?: (graph: Graph, context: StagePlanContext) => Graph;
  /** Whether a run has no such stage. */
  readonly isLeftOut?: (settings: Choices["settings"]) => boolean;
  /** Whether the stage's result depends on the fraction of a passage. */
  readonly isSearched?: (settings: Pick<Settings, "start">) => boolean;
  /** Removes what the stage kept for being resumed. */
  readonly tidy?: (run: RunDirectory) => Promise<void>;
  /** What the stage says besides: files of a run, whose names end with the suffix of the passage before ".json". */
  readonly remarks?: readonly string[];
}

export interface Stage extends StageDefinition {
  readonly name: StageName;
}

/** A stage whose `apply` can ask for no network but those that it takes. */
export function defineStage<const Taken extends Product>(
  definition: StageDefinition<Taken>,
): StageDefinition {
  return definition;
}

/** How far a run has come: where its network is, which is read when it is needed, and those that later stages may take. */
export interface Progress {
  readonly file: string;
  readonly files: ReadonlyMap<Product, string>;
}

/** A run before its first stage. */
export function startOfRun(run: RunDirectory): Progress {
  const products = startProducts(run.config).map((product) => [product, run.stagePath("teacher")] as const);
  return { file: run.stagePath("original"), files: new Map(products) };
}

/** What a run begins with besides the network that it is for. */
function startProducts({ teacher }: Choices): readonly Product[] {
  return teacher === undefined ? [] : ["teacher"];
}

/** What there is after a stage. */
function productsAfter<Value>(
  { gives, ends = [] }: Pick<Stage, "gives" | "ends">,
  before: ReadonlyMap<Product, Value>,
  value: Value,
  choices: Choices,
): ReadonlyMap<Product, Value> {
  const left = [...before].filter(([product]) => !ends.includes(product));
  return new Map([...left, ...gives(choices).map((product) => [product, value] as const)]);
}

/** A run after a stage whose network is kept under `name`. */
export function progressAfter(stage: Stage, before: Progress, name: KeptName, run: RunDirectory): Progress {
  const file = run.stagePath(name);
  return { file, files: productsAfter(stage, before.files, file, run.config) };
}

/**
 * Refuses an order of stages in which one takes what no stage before it gives.
 * @throws PenniError "internal" naming the stage and what is missing
 */
export function checkOrder(stages: readonly Stage[], choices: Choices): void {
  let given: ReadonlyMap<Product, StageName | undefined> = new Map(
    startProducts(choices).map((product) => [product, undefined]),
  );
  for (const stage of stages) {
    if (stage.isLeftOut?.(choices.settings) === true) continue;
    for (const product of stage.takes) {
      if (given.has(product)) continue;
      throw new PenniError("internal", `stage "${stage.name}" takes what no stage before it gives`, {
        expected: `"${product}"`,
        found: [...given.keys()].map((name) => `"${name}"`).join(", ") || "nothing",
      });
    }
    given = productsAfter(stage, given, stage.name, choices);
  }
}

/** Stages one after the other, in the passage of the context; what an earlier attempt has done is read. */
export async function runStages(
  stages: readonly Stage[],
  before: Progress,
  context: RunContext,
): Promise<Progress> {
  const { run, listener, signal, passage } = context;
  const { settings } = run.config;
  // What is wrong with the model that came in is no stage's fault.
  if (isSelfChecking()) verifyTypes(await readModel(before.file));
  let progress = before;
  for (const stage of stages) {
    if (stage.isLeftOut?.(settings) === true) continue;
    if (signal?.aborted === true) throw new PenniError("interrupted", `stopped before stage "${stage.name}"`);
    listener.stage?.(stage.name);
    // The networks of the stage before.
    collectLargeGarbage();
    const name: StageContext["name"] = `${stage.name}${passage.suffix}`;
    const { file, files } = progress;
    const given: StageContext = { ...context, name, file, networks: networksOf(stage, files) };
    // Nobody holds the network while the stage's training goes on.
    const made = async (): Promise<Graph> => stage.apply(await readModel(file), given);
    await run.complete(name, () => checked(stage, made()), listener.notice);
    progress = progressAfter(stage, progress, name, run);
    if (passage.suffix === "") await stage.tidy?.(run);
  }
  return progress;
}

async function checked({ name }: Stage, made: Promise<Graph>): Promise<Graph> {
  const graph = await made;
  if (isSelfChecking()) verifyAfter(`stage "${name}"`, graph, verifyTypes);
  return graph;
}

function networksOf({ name, takes }: Stage, files: Progress["files"]): Networks<Product> {
  const file = (product: Product): string => {
    const found = takes.includes(product) ? files.get(product) : undefined;
    if (found !== undefined) return found;
    throw new PenniError("internal", `stage "${name}" asks for what it was not given`, {
      expected: takes.map((taken) => `"${taken}"`).join(", "),
      found: `"${product}"`,
    });
  };
  return { file, read: (product) => readModel(file(product)) };
}
