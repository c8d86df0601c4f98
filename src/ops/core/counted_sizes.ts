import { innerNodes } from "../../graph/links.js";
import type { Node } from "../../graph/types.js";

/** Operators that count something in the numbers they are given: how large their results are, no run can tell. */
const counting: ReadonlySet<string> = new Set([
  "Compress",
  "NonMaxSuppression",
  "NonZero",
  "StringSplit",
  "TfIdfVectorizer",
  "Unique",
]);

/** Whether the size of a node's result depends on its data, by itself or by what is in its subgraphs. */
export function hasCountedSize(node: Node): boolean {
  return [node, ...innerNodes(node)].some(({ op }) => counting.has(op));
}
