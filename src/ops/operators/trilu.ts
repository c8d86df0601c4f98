import { inputOf } from "../../graph/at.js";
import { intAttributeOr } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import { numericData, numericTensor } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { checkRank, optionalInput } from "../core/arguments.js";
import { wall } from "../core/channels.js";
import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";
import type { Emitter } from "../core/emitter.js";
import { checkTable, mustBeConstant, unsupportedForm } from "../core/unsupported_form.js";

/** The upper or lower triangle of matrices, 0 elsewhere (ONNX Trilu, opset 14 and later). dx: the same of dy. */
export const Trilu: OpDefinition = {
  type: "Trilu",
  scalars: [1],
  cost: noProducts,
  elements: "padded",
  shape: (context) => {
    checkRank(context, 0, 2, Infinity);
    return sameTypeAsFirstInput(context);
  },
  channels: () => wall("it cuts a triangle"),
  gradient: ({ builder: b, node, outputGradients: [dy] }) => {
    if (dy === undefined) return [];
    return [
      b.emit("Trilu", [dy, ...node.inputs.slice(1)], { attributes: Object.fromEntries(node.attributes) }),
    ];
  },
  expand: (b, node) => {
    const x = inputOf(node, 0);
    const k = diagonalOf(b, node);
    const [rows, columns] = firstOf(b.dims(x).slice(-2), 2);
    checkTable(node, rows * columns);
    const isUpper = intAttributeOr(node, "upper", 1) !== 0;
    const kept = Array.from({ length: rows * columns }, (_, at) => {
      const above = (at % columns) - Math.floor(at / columns) - k;
      return Number(isUpper ? above >= 0 : above <= 0);
    });
    const mask = numericTensor("bool", [rows, columns], kept);
    const zero = numericTensor(b.types.get(x)?.elementType ?? "float32", [], [0]);
    if (mask === undefined || zero === undefined) {
      throw unsupportedForm(node, "simpler one", "numbers", b.types.get(x)?.elementType ?? "none");
    }
    return [b.emit("Where", [b.constant("triangle", mask), x, b.constant("zero", zero)])];
  },
};

/** How far above the main diagonal the triangle begins; 0 where the node does not say. */
function diagonalOf(b: Emitter, node: Node): number {
  const name = optionalInput(node, 1);
  if (name === undefined) return 0;
  const constant = b.constantTensor(name);
  const [k] = constant === undefined ? [] : numericData(constant);
  if (k === undefined) throw mustBeConstant(node, "the diagonal");
  return k;
}
