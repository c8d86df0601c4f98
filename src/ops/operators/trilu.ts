import { intAttribute } from "../../graph/attributes.js";
import { numericData, numericTensor } from "../../graph/tensor.js";
import { wall } from "../core/channels.js";
import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";
import { checkTable, mustBeConstant, unsupportedForm } from "../core/unsupported_form.js";

/** The upper or lower triangle of matrices, 0 elsewhere (ONNX Trilu, opset 14 and later). dx: the same of dy. */
export const Trilu: OpDefinition = {
  type: "Trilu",
  cost: noProducts,
  elements: "padded",
  shape: sameTypeAsFirstInput,
  channels: () => wall("it cuts a triangle"),
  gradient: ({ builder: b, node, outputGradients: [dy] }) => {
    if (dy === undefined) return [];
    return [
      b.emit("Trilu", [dy, ...node.inputs.slice(1)], { attributes: Object.fromEntries(node.attributes) }),
    ];
  },
  expand: (b, node) => {
    const [x = "", diagonal = ""] = node.inputs;
    const constant = diagonal === "" ? undefined : b.constantTensor(diagonal);
    if (diagonal !== "" && constant === undefined) throw mustBeConstant(node, "the diagonal");
    const k = constant === undefined ? 0 : (numericData(constant)[0] ?? 0);
    const [rows = 1, columns = 1] = b.dims(x).slice(-2);
    checkTable(node, rows * columns);
    const isUpper = (intAttribute(node, "upper") ?? 1) !== 0;
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
