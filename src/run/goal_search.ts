import { readModel } from "../files/model_files.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { leastFraction } from "../method/calibrate.js";
import type { PrunableNetwork } from "../method/criteria/network.js";
import { decompose } from "../method/decompose.js";
import { costOf, writtenBytes } from "../method/goal/cost.js";
import {
  describeEffort,
  describeGoal,
  describeTry,
  describeValue,
  percentOf,
} from "../method/goal/describe.js";
import type { GoalName } from "../method/goal/names.js";
import { prunableRange } from "../method/goal/pruned.js";
import { type CostSearch, costBounds, searchPruned } from "../method/goal/pruned_search.js";
import { type CostGoal, type Goal, limitOf, wanted } from "../method/goal/rules.js";
import type { Try } from "../method/goal/schema.js";
import { bestTry, leastRounded, type SearchBounds, searchFraction } from "../method/goal/search.js";
import { mergeDecompositions } from "../method/merge_decompositions.js";
import { fixedBasis, hasTraining, type RunConfig, type Settings } from "./config.js";
import type { RunContext } from "./context.js";
import { frozenIn } from "./frozen.js";
import { lossMeter } from "./goal_loss.js";
import { type GoalRecord, readGoalRecord, writeGoalRecord } from "./goal_record.js";
import { firstFraction, searchEffort, searchRules } from "./goal_rules.js";
import { adopt, removeTries, removeTry, startOf, suffixOf } from "./goal_tries.js";
import { networkWriter } from "./stages/export.js";
import { type Progress, runStages, type Stage } from "./stages/stage.js";

/** The stages of a run with a goal: those that each try goes through again, and those before and after. */
interface DividedStages {
  readonly before: readonly Stage[];
  readonly searched: readonly Stage[];
  readonly after: readonly Stage[];
}

/**
 * A try is the first stage whose result depends on the fraction, and where a loss is judged, all up to the network whose
 * loss the result will have.
 */
export function dividedBySearch(
  stages: readonly Stage[],
  { rule }: Goal,
  config: Pick<RunConfig, "settings" | "teacher">,
): DividedStages {
  const from = stages.findIndex(({ isSearched }) => isSearched?.(config.settings) === true);
  const trained = stages.findLastIndex(({ gives }) => gives(config).includes("trained"));
  const to = rule === "loss" ? trained : from;
  if (from < 0 || to < from) throw new PenniError("internal", "a stage is missing");
  return {
    before: stages.slice(0, from),
    searched: stages.slice(from, to + 1),
    after: stages.slice(to + 1),
  };
}

/** A run that keeps to a goal, and the fraction that was found for it. */
interface FoundNetwork {
  readonly progress: Progress;
  readonly fraction: number;
}

/**
 * Looks for the fraction of multiply-accumulates that reaches a goal. Every try is written down, and read when the run
 * is resumed; the stages of the best become the run's own.
 * @param stages those that are searched (`dividedBySearch`)
 * @throws PenniError "bad-option" if no try holds
 */
export async function searchGoal(
  goal: Goal,
  stages: readonly Stage[],
  before: Progress,
  context: RunContext,
): Promise<FoundNetwork> {
  const { settings } = context.run.config;
  const isPruningOnly = goal.rule !== "loss" && settings.start !== "calibrate";
  return isPruningOnly
    ? searchByPruning(goal, stages, before, context)
    : searchByStages(goal, stages, before, context);
}

/** Costs of a network do not depend on what its coefficients are: they are known before it is trained. */
async function searchByPruning(
  goal: CostGoal,
  stages: readonly Stage[],
  before: Progress,
  context: RunContext,
): Promise<FoundNetwork> {
  const { run, listener } = context;
  const network = await prunable(before, run.config);
  const search = await costSearch(goal, network, context);
  const record = (await readGoalRecord(run)) ?? (await startPruning(search));
  const tries = await searchPruned(search, record, record.tries, async (all) => {
    await writeGoalRecord(run, { ...record, tries: all });
    tellLast(goal, all, listener);
  });
  const { fraction } = bestOrRefuse(goal, tries, context.run.config);
  return {
    fraction,
    progress: await runStages(stages, before, { ...context, passage: { fraction, suffix: "" } }),
  };
}

async function startPruning(search: CostSearch): Promise<GoalRecord> {
  const { least, most } = await costBounds(search);
  return { least, most, tries: [] };
}

async function costSearch(
  goal: CostGoal,
  network: CostSearch["network"],
  context: RunContext,
): Promise<CostSearch> {
  const { run } = context;
  const graph = await run.readOriginal();
  const bytes = run.config.modelBytes ?? writtenBytes(graph);
  return { goal, network, write: await networkWriter(context), file: { graph, bytes } };
}

async function searchByStages(
  goal: Goal,
  stages: readonly Stage[],
  before: Progress,
  context: RunContext,
): Promise<FoundNetwork> {
  const { run, listener } = context;
  const { settings } = run.config;
  const rules = searchRules(goal, settings);
  const record = await openRecord(goal, stages, before, context);
  listener.notice?.(`goal: ${describeGoal(goal)}; ${describeEffort(searchEffort(goal, settings))}`);
  const judge = lazily(() => judgeOf(goal, context));
  let { tries } = record;
  await removeTries(stages, tries, bestTry(tries, rules.wanted), run);
  await searchFraction({
    rules,
    limit: limitOf(goal),
    bounds: record,
    first: record.first,
    tries,
    attempt: async (fraction, number) => {
      listener.notice?.(`try ${number} of at most ${rules.most}: ${percentOf(fraction)} of the MACs`);
      const passage = { fraction, suffix: suffixOf(number) };
      const start = startOf(stages, before, tries, bestTry(tries, rules.wanted), run);
      const { file } = await runStages(stages, start, { ...context, passage });
      return (await judge())(await readModel(file), fraction);
    },
    onTry: async (all) => {
      tries = all;
      await writeGoalRecord(run, { ...record, tries });
      tellLast(goal, tries, listener);
      await removeTries(stages, tries, bestTry(tries, rules.wanted), run);
    },
  });
  const best = bestOrRefuse(goal, tries, run.config);
  const progress = await adopt(stages, before, tries.indexOf(best) + 1, run);
  await removeTries(stages, tries, undefined, run);
  for (const { tidy } of stages) await tidy?.(run);
  return { progress, fraction: best.fraction };
}

function lazily<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** What a try gives in the goal's unit. */
type Judge = (graph: Graph, fraction: number) => Promise<Omit<Try, "fraction" | "holds">>;

async function judgeOf(goal: Goal, context: RunContext): Promise<Judge> {
  const write = await networkWriter(context);
  if (goal.rule === "loss") {
    const meter = await lossMeter(goal.measure, context);
    return async (graph, fraction) => {
      const { bytes } = await write(graph, { fraction, shrunk: true });
      return { ...(await meter(graph)), bytes };
    };
  }
  const original = await readModel(context.run.stagePath("original"));
  return async (graph, fraction) => {
    const written = await write(graph, { fraction, shrunk: true });
    return costOf(goal, written.graph, written.bytes, original);
  };
}

/** What was tried before; where that is not known, the search starts anew. */
async function openRecord(
  goal: Goal,
  stages: readonly Stage[],
  before: Progress,
  context: RunContext,
): Promise<GoalRecord> {
  const { run } = context;
  const known = await readGoalRecord(run);
  if (known !== undefined) return known;
  const { most } = searchRules(goal, run.config.settings);
  for (let number = 1; number <= most; number++) await removeTry(stages, number, run);
  const record = await startRecord(goal, before, context);
  await writeGoalRecord(run, record);
  return record;
}

/** Between what is searched, and where it begins, before anything was tried. */
async function startRecord(goal: Goal, before: Progress, context: RunContext): Promise<GoalRecord> {
  const { run } = context;
  const { settings } = run.config;
  const present = await prunable(before, run.config);
  const { original } = present;
  const range = fractionRange(present, settings);
  if (goal.rule === "loss") return { ...range, first: firstFraction(settings), tries: [] };
  // What pruning by magnitude would give costs about the same, and is known at once.
  const graph = decompose(original, { basis: fixedBasis(settings) });
  const search = await costSearch(goal, { ...present, graph, frozen: new Set() }, context);
  const bounds = await costBounds(search);
  const pruned = await searchPruned(search, bounds);
  const first = bestTry(pruned, wanted[goal.rule])?.fraction;
  const most = { fraction: 1, value: bounds.original };
  return { least: { ...bounds.least, ...range.least }, most, first, tries: [] };
}

/** A network as far as the run has come. */
async function prunable({ file, files }: Progress, config: RunConfig): Promise<PrunableNetwork> {
  const normalized = files.get("normalized");
  if (normalized === undefined) throw new PenniError("internal", "it is not known what fractions are of");
  const { channelMultiple } = config.settings;
  const graph = await readModel(file);
  return {
    graph,
    original: await readModel(normalized),
    frozen: frozenIn(graph, config).frozen,
    channelMultiple,
  };
}

/** The fractions that can be reached from here; the loss of the largest, where that is the original. */
function fractionRange(present: PrunableNetwork, settings: Settings): SearchBounds {
  if (settings.start === "calibrate") {
    const { basis } = settings;
    const { graph, factors } = mergeDecompositions(present.original);
    const least = { fraction: leastRounded(leastFraction(graph, { basis, factors })) };
    const isOriginal = basis === "auto" && !hasTraining(settings);
    return { least, most: isOriginal ? { fraction: 1, value: 0 } : { fraction: 1 } };
  }
  const { least, most } = prunableRange(present);
  return { least: { fraction: least }, most: { fraction: most } };
}

function tellLast(goal: Goal, tries: readonly Try[], listener: RunContext["listener"]): void {
  const last = tries.at(-1);
  if (last !== undefined) listener.notice?.(describeTry(goal, tries.length, last));
}

function bestOrRefuse(goal: Goal, tries: readonly Try[], { settings }: RunConfig): Try {
  const best = bestTry(tries, wanted[goal.rule]);
  if (best !== undefined) return best;
  const nearest = tries.toSorted((a, b) => a.value - b.value)[0];
  throw new PenniError("bad-option", "no fraction that was tried reaches the goal", {
    expected: describeGoal(goal),
    found:
      nearest === undefined
        ? "nothing to try"
        : `${describeValue(goal, nearest)} at ${percentOf(nearest.fraction)} of the MACs, the best of ${tries.length} tries`,
    advice: advices[goal.rule](settings),
  });
}

/** What helps where no try holds. */
const advices: { readonly [Name in GoalName]: (settings: Settings) => string } = {
  size: () => "Allow more, or give a smaller --basis",
  latency: () => "Allow more, or try again on a machine that does nothing else",
  loss: (settings) =>
    hasTraining(settings)
      ? "Allow more, or train longer: --fine-tune-epochs"
      : "Allow more, or train: --preset fast",
};
