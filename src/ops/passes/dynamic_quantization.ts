import { hasInput, hasOutput, inputOf } from "../../graph/at.js";
import { intAttribute } from "../../graph/attributes.js";
import type { GraphLinks } from "../../graph/links.js";
import { outputOrOmitted, outputsOf } from "../../graph/operands.js";
import type { Node } from "../../graph/types.js";

/** ONNX's number of the type float32. */
const FLOAT = 1;

/**
 * DynamicQuantizeLinear nodes whose integers go nowhere but into products with constant integers, whose sums are made
 * float32 at once, so that scale and zero point can be taken as 1 and 0.
 * @param isKnown whether the constant factor of a product is known as real numbers
 */
export function dynamicUses(
  { graph, readers, outputNames }: GraphLinks,
  isKnown: (product: Node) => boolean,
): ReadonlySet<Node> {
  const onlyReadBy = (name: string, isGood: (node: Node, name: string) => boolean): boolean =>
    !outputNames.has(name) && readers.get(name)?.every((reader) => isGood(reader, name)) !== false;
  const isFloatCast = (node: Node): boolean => node.op === "Cast" && intAttribute(node, "to") === FLOAT;
  const isProduct = (node: Node, name: string): boolean =>
    (node.op === "ConvInteger" || node.op === "MatMulInteger") &&
    node.inputs[1] !== name &&
    [1, 3].every((index) => !hasInput(node, index) || graph.initializers.has(inputOf(node, index))) &&
    isKnown(node) &&
    node.outputs.every((sum) => onlyReadBy(sum, isFloatCast));
  return new Set(
    graph.nodes.filter((node) => {
      if (node.op !== "DynamicQuantizeLinear" || !hasOutput(node, 0) || !hasOutput(node, 1)) return false;
      const [y, scale] = outputsOf(node, 2);
      const zeroPoint = outputOrOmitted(node, 2);
      const isScale = onlyReadBy(scale, (reader) => reader.op === "Mul");
      const points =
        zeroPoint === "" || onlyReadBy(zeroPoint, (reader) => readers.get(y)?.includes(reader) === true);
      return isScale && points && onlyReadBy(y, isProduct);
    }),
  );
}
