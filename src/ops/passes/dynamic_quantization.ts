import { hasInput, hasOutput, inputOf, listOf } from "../../graph/at.js";
import { intAttribute } from "../../graph/attributes.js";
import type { GraphLinks } from "../../graph/links.js";
import { outputOrOmitted, outputsOf } from "../../graph/operands.js";
import type { Node } from "../../graph/types.js";

/** ONNX's number of the type float32. */
const FLOAT = 1;

/**
 * DynamicQuantizeLinear nodes whose integers go nowhere but into products with constant integers, whose sums are made
 * float32 at once and multiplied with the scale, alone or with a constant before, which is read for nothing else: so that
 * scale and zero point can be taken as 1 and 0.
 * @param isKnown whether the constant factor of a product is known as real numbers
 */
export function dynamicUses(links: GraphLinks, isKnown: (product: Node) => boolean): ReadonlySet<Node> {
  return new Set(links.graph.nodes.filter((node) => isUndone(node, links, isKnown)));
}

function isUndone(
  node: Node,
  { graph, readers, outputNames }: GraphLinks,
  isKnown: (product: Node) => boolean,
): boolean {
  if (node.op !== "DynamicQuantizeLinear" || !hasOutput(node, 0) || !hasOutput(node, 1)) return false;
  const readersOf = (name: string): readonly Node[] => listOf(readers, name);
  const onlyReadBy = (name: string, isGood: (reader: Node) => boolean): boolean =>
    !outputNames.has(name) && readersOf(name).every(isGood);
  const isConstant = (name: string): boolean => graph.initializers.has(name);

  const [y, scale] = outputsOf(node, 2);
  const zeroPoint = outputOrOmitted(node, 2);
  const isFloatCast = (reader: Node): boolean => reader.op === "Cast" && intAttribute(reader, "to") === FLOAT;
  const isProduct = (reader: Node): boolean =>
    (reader.op === "ConvInteger" || reader.op === "MatMulInteger") &&
    reader.inputs[1] !== y &&
    hasInput(reader, 2) &&
    reader.inputs[2] === zeroPoint &&
    [1, 3].every((index) => !hasInput(reader, index) || isConstant(inputOf(reader, index))) &&
    isKnown(reader) &&
    reader.outputs.every((sum) => onlyReadBy(sum, isFloatCast));
  if (!onlyReadBy(y, isProduct)) return false;
  const products = new Set(readersOf(y));
  if (zeroPoint !== "" && !onlyReadBy(zeroPoint, (reader) => products.has(reader))) return false;

  const sums = new Set(
    [...products].flatMap(({ outputs }) => outputs.flatMap(readersOf).flatMap((cast) => cast.outputs)),
  );
  const scalings = new Set(
    readersOf(scale).filter((reader) => isProductOf(reader, (name) => name === scale, isConstant)),
  );
  const scales = new Set([scale, ...[...scalings].flatMap(({ outputs }) => outputs)]);
  const meets = (reader: Node): boolean =>
    isProductOf(
      reader,
      (name) => scales.has(name),
      (name) => sums.has(name),
    );
  return (
    [...sums, ...scales].every((name) => name === scale || onlyReadBy(name, meets)) &&
    onlyReadBy(scale, (reader) => scalings.has(reader) || meets(reader))
  );
}

/** Whether a node multiplies a value of one kind with a value of another. */
function isProductOf(
  { op, inputs }: Node,
  isOne: (name: string) => boolean,
  isOther: (name: string) => boolean,
): boolean {
  const [a, b] = inputs;
  if (op !== "Mul" || a === undefined || b === undefined) return false;
  return (isOne(a) && isOther(b)) || (isOne(b) && isOther(a));
}
