import { innerNodes } from "../../graph/links.js";
import type { Node } from "../../graph/types.js";
import { findOp } from "./registry.js";

/** Standard operators that do so too, of which Penni has no definition. */
const unknownCounting: ReadonlySet<string> = new Set([
  "Compress",
  "StringSplit",
  "TfIdfVectorizer",
  "Unique",
]);

const counts = (node: Pick<Node, "op" | "domain">): boolean =>
  findOp(node)?.countsData === true || unknownCounting.has(node.op);

/** Whether the size of a node's result depends on its data, by itself or by what is in its subgraphs. */
export function hasCountedSize(node: Node): boolean {
  return [node, ...innerNodes(node)].some(counts);
}
