import type { OrtTensor } from "../execute/engine.js";
import { PenniError } from "../graph/errors.js";
import { innerNodes } from "../graph/links.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { inferGraph } from "../ops/inference/infer.js";
import { randomFeeds } from "./random_feeds.js";

/** A batch that no network is likely to state. */
const TRIAL = 2;

/**
 * How many images a network takes at once: as many as are wanted, or, where something in it is written for the batch that
 * it states (a Reshape to [1, ...], a grid for one image), only so many.
 */
export async function workingBatch(network: Graph, wanted: number): Promise<number> {
  const stated = network.inputs[0]?.type?.shape?.[0];
  const own = typeof stated === "number" ? stated : 1;
  return wanted === own || (await takesBatch(fixBatch(network, TRIAL))) ? wanted : own;
}

/**
 * The network with a batch of one stated, where it leaves its batch open and yet takes one image only: a loop or a branch
 * in it may be written for one (a state of [1, ...]), which its shapes do not show. Any other network as it is.
 */
export async function withTrueBatch(network: Graph): Promise<Graph> {
  const isOpen = typeof network.inputs[0]?.type?.shape?.[0] !== "number";
  if (!isOpen || !network.nodes.some((node) => innerNodes(node).length > 0)) return network;
  if ((await trialOutputs(fixBatch(network, TRIAL))) !== undefined) return network;
  const single = fixBatch(network, 1);
  return (await trialOutputs(single)) === undefined ? network : single;
}

/** Whether so many images run together, and every output has as many. */
async function takesBatch(trial: Graph): Promise<boolean> {
  const outputs = await trialOutputs(trial);
  return outputs?.every(({ dims }) => dims.length === 0 || dims[0] === TRIAL) ?? false;
}

/** The outputs of a network on random numbers; undefined where it cannot be run. */
async function trialOutputs(trial: Graph): Promise<readonly OrtTensor[] | undefined> {
  try {
    inferGraph(trial);
    // Most networks need no trial, and then no runtime.
    const { openSession } = await import("../execute/node.js");
    const session = await openSession({ ...trial, valueInfo: new Map() }, { threads: 1 });
    try {
      return Object.values(await session.run(randomFeeds(trial.inputs, 1)));
    } finally {
      await session.release();
    }
  } catch (error) {
    if (error instanceof PenniError) return undefined;
    throw error;
  }
}
