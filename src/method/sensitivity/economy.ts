import type { ModelImageDims } from "../../data/preprocessing.js";
import { at, countOf, orDefault } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";
import { fixInputShape } from "../../graph/passes/fix_input_shape.js";
import { elementCount } from "../../graph/tensor.js";
import type { Graph, Node } from "../../graph/types.js";
import { countGraph } from "../../measure/count.js";
import { inferGraph } from "../../ops/inference/infer.js";
import type { SurveyedLayer } from "./layers.js";
import { partition } from "./partition.js";

/** Sessions cost time to open, and onnxruntime-node does not give back all of their memory. */
const MOST_GROUPS = 16;

const LARGEST_BATCH = 128;
const LARGEST_VALUE_BYTES = 64 * 2 ** 20;

const forOneImage = (graph: Graph, input: string, image: ModelImageDims): Graph =>
  fixInputShape(graph, new Map([[input, [1, ...image]]]));

/** Images in a batch: as many as keep the network's largest value below 64 MiB, from 1 to 128. */
export function batchSize(graph: Graph, input: string, images: ModelImageDims): number {
  const { types } = inferGraph(forOneImage(graph, input, images));
  const sizes = graph.nodes
    .flatMap((node) => node.outputs)
    .map((name) => {
      // What is not known of a size counts as 1.
      const shape = orDefault(types.get(name)?.shape, []);
      return 4 * elementCount(shape.map((dim) => (typeof dim === "number" ? dim : 1)));
    });
  const largest = sizes.reduce((most, size) => Math.max(most, size), 1);
  return Math.max(1, Math.min(LARGEST_BATCH, Math.floor(LARGEST_VALUE_BYTES / largest)));
}

/** Multiply-accumulates of each node for one image; where they cannot be counted, one for each node. */
function nodeCosts(graph: Graph, input: string, images: ModelImageDims): ReadonlyMap<Node, number> {
  try {
    const { layers } = countGraph(forOneImage(graph, input, images));
    return new Map(layers.map(({ node, executedMacs }) => [node, executedMacs]));
  } catch (error) {
    if (!(error instanceof PenniError)) throw error;
    return new Map(graph.nodes.map((node) => [node, 1]));
  }
}

/** What remains to be computed from each node on, itself included, by position in the graph. */
function remainingCosts(graph: Graph, costs: ReadonlyMap<Node, number>): readonly number[] {
  let remaining = 0;
  return graph.nodes
    .toReversed()
    .map((node) => {
      remaining += countOf(costs, node);
      return remaining;
    })
    .reverse();
}

/**
 * Groups of layers that share a session, in the graph's order, chosen for the fewest multiply-accumulates: for each
 * variant of its layers a group runs what comes after the first of them, and the whole network once more.
 * @param variants how often each layer runs
 */
export function divideLayers(
  graph: Graph,
  input: string,
  images: ModelImageDims,
  variants: ReadonlyMap<SurveyedLayer, number>,
): readonly (readonly SurveyedLayer[])[] {
  const remaining = remainingCosts(graph, nodeCosts(graph, input, images));
  const layers = [...variants].map(([layer, times]) => ({
    layer,
    position: graph.nodes.findIndex((node) => node.inputs.includes(layer.weight)),
    times,
  }));
  const runs = partition(layers.length, MOST_GROUPS, ({ first, end }) => {
    const times = layers.slice(first, end).reduce((total, layer) => total + layer.times, 0);
    return times * at(remaining, at(layers, first).position) + at(remaining, 0);
  });
  return runs.map(({ first, end }) => layers.slice(first, end).map(({ layer }) => layer));
}
