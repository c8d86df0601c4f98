import { PenniError } from "../../graph/errors.js";
import type { Graph } from "../../graph/types.js";
import { type CriterionRule, criterionOf } from "../../method/criteria/table.js";
import { decompose } from "../../method/decompose.js";
import { askedCriterion } from "../../method/goal/criterion.js";
import { shrink as withoutDead } from "../../method/shrink.js";
import { RunCalibrationJournal } from "../calibration_journal.js";
import { fixedBasis } from "../config.js";
import type { Passage } from "../context.js";
import { frozenIn } from "../frozen.js";
import { calibrateStage } from "./calibrate.js";
import { leftOut } from "./left_out.js";
import { lossesOf } from "./losses.js";
import { defineStage, type StageContext } from "./stage.js";

/** Bases and coefficients, from the kernels alone or from images. */
export const decomposition = defineStage({
  takes: ["whole", "normalized"],
  gives: () => ["decomposed"],
  // Channels go before there are bases, if at all.
  ends: ["whole"],
  isSearched: ({ start }) => start === "calibrate",
  tidy: (run) => RunCalibrationJournal.remove(run),
  remarks: ["calibration"],
  apply: (graph, context) => {
    const { settings } = context.run.config;
    if (settings.start === "calibrate") return calibrateStage(graph, context);
    const { frozen } = frozenIn(graph, context.run.config);
    return decompose(graph, { basis: fixedBasis(settings), frozen });
  },
  plan: (graph, { settings }) => decompose(graph, { basis: fixedBasis(settings) }),
});

export const pruning = defineStage({
  takes: ["decomposed", "normalized", "teacher"],
  gives: () => ["pruned"],
  isSearched: () => true,
  apply: pruneStage,
  plan: (graph, { settings: { prune, channelMultiple }, original }) =>
    criterionOf(prune).apply({ graph, original, frozen: new Set(), channelMultiple }),
});

async function pruneStage(graph: Graph, context: StageContext<"normalized" | "teacher">): Promise<Graph> {
  const { run, passage, networks } = context;
  const { frozen } = frozenIn(graph, run.config);
  const { prune, channelMultiple } = run.config.settings;
  // With normalizations, which cost nothing by this count, so that values have the same names.
  const original = await networks.read("normalized");
  const criterion = askedCriterion(prune) ?? criterionOf(foundRule(passage));
  const losses = await lossesOf(graph, context);
  return criterion.apply({ graph, original, frozen, channelMultiple, losses });
}

/** What a search for a goal prunes to. */
function foundRule({ fraction }: Passage): CriterionRule {
  if (fraction === undefined) throw new PenniError("internal", "it was not decided how much is to be pruned");
  return { rule: "macs", fraction };
}

/** Exact: the result computes what was trained. */
export const shrinking = defineStage({
  takes: ["trained"],
  gives: () => [],
  isLeftOut: leftOut.shrink,
  apply: (graph, { run }) => withoutDead(graph, { multiple: run.config.settings.channelMultiple }),
});
