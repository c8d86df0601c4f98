import { orDefault } from "../../graph/at.js";
import type { Graph } from "../../graph/types.js";
import { prunedToFraction } from "../criteria/macs.js";
import type { PrunableNetwork } from "../criteria/network.js";
import { type Cost, costOf, predictedCost, wasmBytes } from "./cost.js";
import { prunableRange, withoutCoefficients } from "./pruned.js";
import { type CostGoal, limitOf, wanted } from "./rules.js";
import type { Try } from "./schema.js";
import {
  decisive,
  roundedFraction,
  type SearchBounds,
  type SearchEnd,
  type SearchRules,
  searchFraction,
} from "./search.js";

/** A network as a file of it would be. */
export interface WrittenNetwork {
  readonly graph: Graph;
  readonly bytes: number;
}

/** How far a network that is to be written has come. */
export interface WriteOptions {
  /** That it was pruned to, as its record says. */
  readonly fraction: number;
  /** Whether what is dead in it goes. */
  readonly shrunk: boolean;
}

/** What is needed to see what a network would cost after pruning. */
export interface CostSearch {
  readonly goal: CostGoal;
  readonly network: PrunableNetwork;
  readonly write: (pruned: Graph, options: WriteOptions) => Promise<WrittenNetwork>;
  /** The model as it came in. */
  readonly file: WrittenNetwork;
}

/** Pruning takes a moment, so much is tried. Measured times are no closer to each other than this. */
const PRUNINGS: { readonly [Name in CostGoal["rule"]]: SearchRules } = {
  size: {
    wanted: "largest",
    most: 12,
    resolution: 0.002,
    close: 0.99,
    aim: 0.996,
    curve: "line",
    margin: 0.05,
  },
  latency: {
    wanted: "largest",
    most: 8,
    resolution: 0.01,
    close: 0.95,
    aim: 0.975,
    curve: "line",
    margin: 0.05,
  },
};

/** What a network costs at both ends of pruning, and before it. */
export interface CostBounds extends SearchBounds {
  /** Of the model as it came in. */
  readonly original: number;
}

export async function costBounds(search: CostSearch): Promise<CostBounds> {
  const { goal, network, write, file } = search;
  const { least, most } = prunableRange(network);
  const endOf = async (fraction: number, graph: Graph, shrunk: boolean): Promise<SearchEnd> => {
    const written = await write(graph, { fraction, shrunk });
    const cost = await costOf(goal, written.graph, written.bytes, file.graph);
    return { fraction, value: decisive(wanted[goal.rule], { fraction, ...cost }) };
  };
  return {
    least: await endOf(least, withoutCoefficients(network), false),
    most: await endOf(most, prunedToFraction(network, most), true),
    original: await originalCost(goal, file),
  };
}

async function originalCost(goal: CostGoal, { graph, bytes }: WrittenNetwork): Promise<number> {
  if (goal.rule === "size") return goal.file === "onnx" ? bytes : wasmBytes(graph);
  return (await costOf(goal, graph, bytes, graph)).value;
}

/** Looks for the largest fraction with which a network that is pruned, and not trained afterwards, keeps to a goal. */
export async function searchPruned(
  search: CostSearch,
  bounds: SearchBounds,
  before: readonly Try[] = [],
  onTry?: (tries: readonly Try[]) => Promise<void>,
): Promise<readonly Try[]> {
  const { goal, network, write, file } = search;
  return searchFraction({
    rules: PRUNINGS[goal.rule],
    limit: limitOf(goal),
    bounds,
    first: firstFraction(search, bounds),
    tries: before,
    attempt: async (fraction): Promise<Cost> => {
      const { graph, bytes } = await write(prunedToFraction(network, fraction), { fraction, shrunk: true });
      return costOf(goal, graph, bytes, file.graph);
    },
    ...(onTry === undefined ? {} : { onTry }),
  });
}

/** Halvings of what is left: to less than what one measurement differs from the next. */
const HALVINGS = 7;

/** What the compiler's cost model expects; undefined where it says nothing. */
function firstFraction({ goal, network }: CostSearch, { least, most }: SearchBounds): number | undefined {
  const whole = predictedCost(goal, prunedToFraction(network, most.fraction));
  if (whole === undefined || most.value === undefined) return undefined;
  const aim = (PRUNINGS[goal.rule].aim * limitOf(goal) * whole) / most.value;
  let [low, high] = [least.fraction, most.fraction];
  for (let step = 0; step < HALVINGS; step++) {
    const middle = (low + high) / 2;
    // What nothing is known of is taken for too dear: the first guess is rather too low.
    const cost = orDefault(predictedCost(goal, prunedToFraction(network, middle)), Number.POSITIVE_INFINITY);
    if (cost > aim) high = middle;
    else low = middle;
  }
  return roundedFraction(low);
}
