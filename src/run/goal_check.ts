import type { Split } from "../data/dataset.js";
import { holdOut } from "../data/hold_out.js";
import { present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { decompose } from "../method/decompose.js";
import { exportModel } from "../method/export.js";
import { writtenBytes } from "../method/goal/cost.js";
import { describeGoal, describeValue, type SearchEffort } from "../method/goal/describe.js";
import {
  type CostBounds,
  type CostSearch,
  costBounds,
  searchPruned,
  type WrittenNetwork,
} from "../method/goal/pruned_search.js";
import { type CostGoal, type Goal, goalOf, type LossGoal, limitOf, wanted } from "../method/goal/rules.js";
import type { Try } from "../method/goal/schema.js";
import { bestTry } from "../method/goal/search.js";
import { shrink } from "../method/shrink.js";
import { fixedBasis, type RunConfig, type Settings } from "./config.js";
import { firstFraction, searchEffort } from "./goal_rules.js";
import { fileCounts } from "./outcome.js";
import { joinRest } from "./rest.js";

/** A model as it came in, before there is a run. */
export interface GivenModel {
  /** The model's file, or the part of it that can be run. */
  readonly file: WrittenNetwork;
  /** Imported. */
  readonly network: Graph;
  /** What is put behind the result again. */
  readonly rest?: Graph | undefined;
  /** Names of weights that stay as they are. */
  readonly frozen: ReadonlySet<string>;
}

/** Of a configuration, as far as it is known when goals are checked. */
type KnownConfig = Pick<RunConfig, "settings" | "seed" | "reference">;

/**
 * Refuses a goal that is reached already, cannot be reached, or cannot be measured.
 * @param train the training images
 * @throws PenniError "bad-option"; as `compileToWasm` if the goal needs that and the model cannot be compiled
 */
export async function checkGoal(
  model: GivenModel,
  train: Pick<Split, "count" | "labels">,
  config: KnownConfig,
): Promise<void> {
  const { settings } = config;
  const goal = goalOf(settings.prune);
  if (goal === undefined) return;
  if (goal.rule === "loss") checkLossGoal(goal, train, config);
  else refuseUnreachable(goal, await costBounds(costSearchOf(goal, model, settings)));
}

function costSearchOf(
  goal: CostGoal,
  { file, network, rest, frozen }: GivenModel,
  settings: Pick<Settings, "basis" | "channelMultiple">,
): CostSearch {
  const graph = decompose(network, { basis: fixedBasis(settings), frozen });
  const { executedMacs: executedLimit } = fileCounts(file.graph);
  const write: CostSearch["write"] = async (pruned, { shrunk }) => {
    const small = shrunk ? shrink(pruned, { multiple: settings.channelMultiple }) : pruned;
    const written = (await exportModel(small, { original: file.graph, executedLimit })).graph;
    return { graph: written, bytes: writtenBytes(rest === undefined ? written : joinRest(written, rest)) };
  };
  const { channelMultiple } = settings;
  return { goal, network: { graph, original: network, frozen, channelMultiple }, write, file };
}

function refuseUnreachable(goal: CostGoal, { least, original }: CostBounds): void {
  const limit = limitOf(goal);
  const [smallest, now] = [present(least.value, "the least cost"), original];
  if (now <= limit) {
    throw new PenniError("bad-option", "the model keeps to this goal already", {
      expected: `less than it has: ${describeValue(goal, { value: now })}`,
      found: describeGoal(goal),
    });
  }
  if (smallest <= limit) return;
  throw new PenniError("bad-option", "this goal cannot be reached by removing coefficients", {
    expected: `more than ${describeValue(goal, { value: smallest })}, which is left without a single one`,
    found: describeGoal(goal),
    advice: "Allow more, or start from a smaller network",
  });
}

/** Refuses a loss that cannot be measured. */
function checkLossGoal(
  goal: LossGoal,
  split: Pick<Split, "count" | "labels">,
  { settings, seed, reference }: KnownConfig,
): void {
  const isLabelled = reference !== "original";
  if (isLabelled !== (goal.measure === "top1")) {
    throw new PenniError(
      "bad-option",
      isLabelled
        ? "--max-loss is in points of top-1 where the images have labels"
        : "--max-loss is an output error where no labels are used",
      {
        expected: isLabelled ? "points, as in --max-loss 0.5" : "a percentage, as in --max-loss 5%",
        found: describeValue(goal, { value: goal.most }),
      },
    );
  }
  if (holdOut(split, settings.validation, seed).validation.length > 0) return;
  throw new PenniError("bad-option", "--max-loss is measured on images that are held out", {
    expected: "--validation above 0, and more than one image",
    found: `--validation ${settings.validation}, ${split.count} images`,
  });
}

/** How a goal is going to be reached, as far as that can be said before the run. */
export interface PlannedGoal {
  readonly goal: Goal;
  /** What is expected, or tried first. */
  readonly fraction: number;
  /** For costs: what was tried on the network as it stands, pruned and not trained. */
  readonly tries: readonly Try[];
  readonly effort: SearchEffort;
}

/** @throws PenniError as `checkGoal` */
export async function planGoal(goal: Goal, model: GivenModel, settings: Settings): Promise<PlannedGoal> {
  const effort = searchEffort(goal, settings);
  if (goal.rule === "loss") return { goal, fraction: firstFraction(settings), tries: [], effort };
  const request = costSearchOf(goal, model, settings);
  const bounds = await costBounds(request);
  refuseUnreachable(goal, bounds);
  const tries = await searchPruned(request, bounds);
  const best = bestTry(tries, wanted[goal.rule]);
  return { goal, fraction: best?.fraction ?? bounds.least.fraction, tries, effort };
}
