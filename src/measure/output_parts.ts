import { beforeOps, dependentsOf, movingOps } from "../graph/following.js";
import { type GraphLinks, linkGraph } from "../graph/links.js";
import type { Graph, Node } from "../graph/types.js";

/** An output of more parts is taken whole. */
const MOST_PARTS = 64;

/**
 * What a network's outputs are put together from, by name: detectors put coordinates of hundreds of pixels and scores below 1
 * into one tensor, whose variance is that of the coordinates alone. Parts that are the same for every image are left out.
 * @returns outputs that are not put together as they are
 */
export function outputParts(network: Graph): readonly string[] {
  const { producers } = linkGraph(network);
  const inputs = network.inputs.map(({ name }) => name);
  const varied = dependentsOf(network.nodes, inputs).values;
  const found = network.outputs.flatMap(({ name }) => {
    const parts = partsOf(name, producers, varied);
    return parts.length === 0 || parts.length > MOST_PARTS ? [name] : parts;
  });
  return [...new Set(found)];
}

/** Empty where nothing of a value depends on the images. */
function partsOf(
  value: string,
  producers: GraphLinks["producers"],
  varied: ReadonlySet<string>,
): readonly string[] {
  const concat = concatBehind(value, producers);
  if (concat === undefined) return [value];
  return concat.inputs.filter((name) => varied.has(name)).flatMap((name) => partsOf(name, producers, varied));
}

/** What puts a value together, if that is all that happens to it besides moving. */
function concatBehind(value: string, producers: GraphLinks["producers"]): Node | undefined {
  const node = producers.get(beforeOps(producers, value, movingOps));
  return node?.domain === "" && node.op === "Concat" ? node : undefined;
}
