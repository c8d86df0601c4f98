import type { GraphLinks } from "../../graph/links.js";
import type { Node } from "../../graph/types.js";

/**
 * DynamicQuantizeLinear nodes whose integers go nowhere but into products with constant integers, whose sums are made
 * float at once, so that scale and zero point can be taken as 1 and 0.
 */
export function dynamicUses({ graph, readers, outputNames }: GraphLinks): ReadonlySet<Node> {
  const onlyReadBy = (name: string, isGood: (node: Node, name: string) => boolean): boolean =>
    !outputNames.has(name) && (readers.get(name) ?? []).every((reader) => isGood(reader, name));
  const isProduct = (node: Node, name: string): boolean =>
    (node.op === "ConvInteger" || node.op === "MatMulInteger") &&
    node.inputs[1] !== name &&
    [1, 3].every(
      (index) => (node.inputs[index] ?? "") === "" || graph.initializers.has(node.inputs[index] ?? ""),
    ) &&
    node.outputs.every((sum) => onlyReadBy(sum, (reader) => reader.op === "Cast"));
  return new Set(
    graph.nodes.filter((node) => {
      const [y = "", scale = "", zeroPoint = ""] = node.outputs;
      const isScale = onlyReadBy(scale, (reader) => reader.op === "Mul");
      const points =
        zeroPoint === "" || onlyReadBy(zeroPoint, (reader) => readers.get(y)?.includes(reader) === true);
      return node.op === "DynamicQuantizeLinear" && isScale && points && onlyReadBy(y, isProduct);
    }),
  );
}
