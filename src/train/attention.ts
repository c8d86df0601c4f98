import { dims4, orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { Graph, Node, ValueType } from "../graph/types.js";
import { add, div, mul, reduceMean, reduceSum, reshape, sub } from "../ops/core/emit.js";
import type { TypedBuilder } from "../ops/inference/builder.js";
import { inferGraph } from "../ops/inference/infer.js";
import { findOp } from "../ops/inference/registry.js";
import { builderFor } from "../ops/passes/expand_composites.js";

/** The value in a teacher that holds its map of attention of this size. */
export const attentionOf = (size: string): string => `penni/attention/${size}`;

/**
 * The last value of each size of maps ("16x16") that a network computes: where a stage of a network of blocks ends. What only
 * moves or chooses elements computes none, and maps of one position have nowhere to look.
 * @param nodes in the order of the computation
 * @param types [N, C, H, W] of its maps, with known dimensions
 */
export function lastMaps(
  nodes: readonly Node[],
  types: ReadonlyMap<string, ValueType>,
): ReadonlyMap<string, string> {
  const last = new Map<string, string>();
  for (const node of nodes) {
    if (findOp(node)?.elements !== undefined) continue;
    for (const value of node.outputs) {
      const type = types.get(value);
      const [, channels, height, width, ...more] = orDefault(type?.shape, []);
      if (type?.elementType !== "float32" || typeof channels !== "number" || more.length > 0) continue;
      if (typeof height !== "number" || typeof width !== "number" || height * width < 2) continue;
      last.set(`${height}x${width}`, value);
    }
  }
  return last;
}

/**
 * Sizes of maps that both networks have.
 * @param network with fixed dimensions, as the teacher
 * @throws PenniError "bad-option" if there are none
 */
export function sharedSizes(network: Graph, teacher: Graph): readonly string[] {
  const sizesOf = (graph: Graph): readonly string[] => [
    ...lastMaps(graph.nodes, inferGraph(graph).types).keys(),
  ];
  const [own, known] = [sizesOf(network), sizesOf(teacher)];
  const shared = own.filter((size) => known.includes(size));
  if (shared.length > 0) return shared;
  throw new PenniError("bad-option", "the two networks have no maps of the same size to compare", {
    expected: own.length === 0 ? "maps in the model" : `one of ${own.join(", ")}, as the model has`,
    found: known.length === 0 ? "none" : known.join(", "),
    advice: "Learn from its outputs alone: leave --teacher-features out",
  });
}

/** Keeps 0 / 0 out of maps that are zero everywhere. */
const LEAST = 1e-24;

/**
 * Where a value's channels are strong (Zagoruyko and Komodakis 2017): means of their squares, as vectors of length 1.
 * [N, C, H, W] -> [N, H·W]
 */
export function emitAttention(b: TypedBuilder, value: string): string {
  const [images, , height, width] = dims4(b.dims(value));
  const energy = reshape(b, reduceMean(b, mul(b, value, value), [1], false), [images, height * width]);
  const squared = add(b, reduceSum(b, mul(b, energy, energy), [1], true), b.scalar(LEAST));
  return div(b, energy, b.emit("Sqrt", [squared]));
}

/** A value of the network that is trained, and the teacher's map of attention [N, H·W]. */
export interface Attended {
  readonly value: string;
  readonly teacher: string;
}

/** Mean over pairs and batch of the squared distance of both maps of attention, from 0 to 2. */
export function emitAttentionDistance(b: TypedBuilder, pairs: readonly Attended[]): string {
  const distances = pairs.map(({ value, teacher }) => {
    const difference = sub(b, emitAttention(b, value), teacher);
    return reduceMean(b, reduceSum(b, mul(b, difference, difference), [1], false), [0], false);
  });
  const sum = distances.reduce((total, distance) => add(b, total, distance));
  return mul(b, sum, b.scalar(1 / pairs.length));
}

/** A network that gives nothing but its maps of attention, by the names of `attentionOf`, and some of its values. */
export function withAttention(network: Graph, sizes: readonly string[], values: readonly string[]): Graph {
  if (sizes.length === 0) return { ...network, outputs: values.map((name) => ({ name, type: undefined })) };
  const b = builderFor(network);
  for (const node of network.nodes) b.append(node);
  const maps = lastMaps(network.nodes, b.types);
  for (const size of sizes) {
    const value = maps.get(size);
    if (value === undefined) throw new PenniError("internal", `the teacher has no maps of ${size}`);
    b.emit("Identity", [emitAttention(b, value)], { outputs: [attentionOf(size)] });
  }
  const outputs = [...values, ...sizes.map(attentionOf)].map((name) => ({ name, type: b.types.get(name) }));
  return { ...network, nodes: b.nodes, initializers: b.initializers, outputs };
}
