import { at, entryOf, inputOf, orDefault, outputOf } from "../../graph/at.js";
import { floatAttributeOr } from "../../graph/attributes.js";
import type { GraphLinks } from "../../graph/links.js";
import { float32Data } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";

/** The only reader of a value, if it is an operator of this kind that reads it as its first input. */
function onlyReader(links: GraphLinks, value: string, op: string): Node | undefined {
  const [reader, ...more] = orDefault(links.readers.get(value), []);
  const alone = more.length === 0 && !links.outputNames.has(value);
  return alone && reader?.op === op && reader.inputs[0] === value ? reader : undefined;
}

/** The normalization with running statistics that alone reads a convolution's output. */
export function normalizationAfter(links: GraphLinks, conv: Node): Node | undefined {
  const node = onlyReader(links, outputOf(conv, 0), "BatchNormalization");
  const constant = node?.inputs
    .slice(1)
    .every((name) => links.graph.initializers.get(name)?.type === "float32");
  return constant === true && node?.outputs.length === 1 ? node : undefined;
}

/** What each of K output channels of a convolution is multiplied by right after it: gamma / sqrt(variance + eps). */
export function channelScales(links: GraphLinks, conv: Node, K: number): Float64Array {
  const node = normalizationAfter(links, conv);
  if (node === undefined) return new Float64Array(K).fill(1);
  const parameter = (index: number): Float32Array =>
    float32Data(entryOf(links.graph.initializers, inputOf(node, index)));
  const [gamma, variance] = [parameter(1), parameter(4)];
  const epsilon = floatAttributeOr(node, "epsilon", 1e-5);
  return Float64Array.from({ length: K }, (_, k) => at(gamma, k) / Math.sqrt(at(variance, k) + epsilon));
}
