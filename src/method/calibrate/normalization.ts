import { floatAttribute } from "../../graph/attributes.js";
import type { GraphLinks } from "../../graph/links.js";
import { float32Data } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";

/** The only reader of a value, if it is an operator of this kind that reads it as its first input. */
function onlyReader(links: GraphLinks, value: string, op: string): Node | undefined {
  const [reader, ...more] = links.readers.get(value) ?? [];
  const alone = more.length === 0 && !links.outputNames.has(value);
  return alone && reader?.op === op && reader.inputs[0] === value ? reader : undefined;
}

/** The normalization with running statistics that alone reads a convolution's output. */
export function normalizationAfter(links: GraphLinks, conv: Node): Node | undefined {
  const node = onlyReader(links, conv.outputs[0] ?? "", "BatchNormalization");
  const constant = node?.inputs
    .slice(1)
    .every((name) => links.graph.initializers.get(name)?.type === "float32");
  return constant === true && node?.outputs.length === 1 ? node : undefined;
}

/** What each of K output channels of a convolution is multiplied by right after it: gamma / sqrt(variance + eps). */
export function channelScales(links: GraphLinks, conv: Node, K: number): Float64Array {
  const node = normalizationAfter(links, conv);
  if (node === undefined) return new Float64Array(K).fill(1);
  const [gamma, variance] = [1, 4].map((index) => {
    const tensor = links.graph.initializers.get(node.inputs[index] ?? "");
    return tensor === undefined ? new Float32Array(K) : float32Data(tensor);
  });
  const epsilon = floatAttribute(node, "epsilon") ?? 1e-5;
  return Float64Array.from(
    { length: K },
    (_, k) => (gamma?.[k] ?? 0) / Math.sqrt((variance?.[k] ?? 0) + epsilon),
  );
}
