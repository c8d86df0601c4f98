import { PenniError } from "../../graph/errors.js";
import type { Graph } from "../../graph/types.js";
import { equalVariances, pruneChannels, readValues } from "../../method/channels/prune.js";
import { decompose } from "../../method/decompose.js";
import { fixedBasis } from "../config.js";
import { frozenIn } from "../frozen.js";
import { checkTarget } from "../target.js";
import { leftOut } from "./left_out.js";
import { momentsOf } from "./moments.js";
import { defineStage, type StageContext } from "./stage.js";

/** Removes whole channels, those that vary least in front of what reads them. */
export const channels = defineStage({
  takes: ["whole", "normalized"],
  gives: () => ["narrow"],
  ends: ["whole"],
  isLeftOut: leftOut.channels,
  apply: channelStage,
  // Which ones matter, only images tell.
  plan: (graph, { settings: { channels, channelMultiple } }) => {
    const { fraction, sums } = expectChannels(channels);
    const variances = equalVariances(graph, sums);
    return pruneChannels(graph, { fraction, sums, multiple: channelMultiple, variances });
  },
});

async function channelStage(graph: Graph, context: StageContext<"normalized">): Promise<Graph> {
  const { config } = context.run;
  const { settings } = config;
  const { fraction, sums } = expectChannels(settings.channels);
  const moments = await momentsOf(graph, readValues(graph, sums), context);
  const variances = new Map([...moments].map(([value, { variance }]) => [value, variance]));
  const narrow = pruneChannels(graph, { fraction, sums, multiple: settings.channelMultiple, variances });
  const { frozen } = frozenIn(narrow, config);
  const decomposed = (): Graph => decompose(narrow, { basis: fixedBasis(settings), frozen });
  // Before epochs are spent.
  checkTarget({ graph: narrow, decomposed, frozen, original: graph }, settings);
  return narrow;
}

function expectChannels<Channels>(channels: Channels | undefined): Channels {
  if (channels === undefined) throw new PenniError("internal", "a run without channels to remove");
  return channels;
}
