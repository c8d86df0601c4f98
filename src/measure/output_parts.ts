import { inputOf } from "../graph/at.js";
import type { Graph, Node } from "../graph/types.js";

/** Operators that leave numbers as they are, but elsewhere. */
const moving: ReadonlySet<string> = new Set([
  "Flatten",
  "Identity",
  "Reshape",
  "Squeeze",
  "Transpose",
  "Unsqueeze",
]);

/** An output of more parts is taken whole. */
const MOST_PARTS = 64;

/**
 * What a network's outputs are put together from, by name: detectors put coordinates of hundreds of pixels and scores below 1
 * into one tensor, whose variance is that of the coordinates alone. Parts that are the same for every image are left out.
 * @returns outputs that are not put together as they are
 */
export function outputParts(network: Graph): readonly string[] {
  const producers = new Map(
    network.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)),
  );
  const varied = variedValues(network);
  const found = network.outputs.flatMap(({ name }) => {
    const parts = partsOf(name, producers, varied);
    return parts.length === 0 || parts.length > MOST_PARTS ? [name] : parts;
  });
  return [...new Set(found)];
}

/** Empty where nothing of a value depends on the images. */
function partsOf(
  value: string,
  producers: ReadonlyMap<string, Node>,
  varied: ReadonlySet<string>,
): readonly string[] {
  const concat = concatBehind(value, producers);
  if (concat === undefined) return [value];
  return concat.inputs.filter((name) => varied.has(name)).flatMap((name) => partsOf(name, producers, varied));
}

/** What puts a value together, if that is all that happens to it besides moving. */
function concatBehind(value: string, producers: ReadonlyMap<string, Node>): Node | undefined {
  const node = producers.get(value);
  if (node === undefined || node.domain !== "") return undefined;
  if (node.op === "Concat") return node;
  return moving.has(node.op) ? concatBehind(inputOf(node, 0), producers) : undefined;
}

/** Values that depend on what the network is given. */
function variedValues(network: Graph): ReadonlySet<string> {
  const varied = new Set(network.inputs.map(({ name }) => name));
  for (const { inputs, outputs } of network.nodes)
    if (inputs.some((name) => varied.has(name))) for (const name of outputs) varied.add(name);
  return varied;
}
