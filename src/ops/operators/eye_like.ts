import { intAttribute, intAttributeOr } from "../../graph/attributes.js";
import { firstOf, inputsOf } from "../../graph/operands.js";
import { numericTensor } from "../../graph/tensor.js";
import type { ElementType } from "../../graph/types.js";
import { checkRank, requiredInput } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { absent, noProducts } from "../core/definition.js";
import { elementTypeOfCode } from "../core/element_types.js";
import { checkTable, unsupportedForm } from "../core/unsupported_form.js";
import { noGradient } from "../families/elementwise.js";

/** Ones on a diagonal of a matrix of the input's dimensions (ONNX EyeLike, opset 9 and later). */
export const EyeLike: OpDefinition = {
  type: "EyeLike",
  channels: absent("it reads no channels"),
  cost: noProducts,
  shape: (context) => {
    checkRank(context, 0, 2);
    return [{ elementType: elementTypeOf(context), shape: requiredInput(context, 0).shape }];
  },
  gradient: noGradient,
  expand: (b, node) => {
    const [x] = inputsOf(node, 1);
    const [rows, columns] = firstOf(b.dims(x), 2);
    checkTable(node, rows * columns);
    const k = intAttributeOr(node, "k", 0);
    const ones = Array.from({ length: rows * columns }, (_, at) =>
      Number((at % columns) - Math.floor(at / columns) === k),
    );
    const code = intAttribute(node, "dtype");
    const type = code === undefined ? b.types.get(x)?.elementType : elementTypeOfCode(code);
    const tensor = numericTensor(type ?? "float32", [rows, columns], ones);
    if (tensor === undefined) throw unsupportedForm(node, "simpler one", "a numeric type", type ?? "none");
    return [b.constant("eye", tensor)];
  },
};

function elementTypeOf(context: NodeContext): ElementType {
  const code = intAttribute(context.node, "dtype");
  return code === undefined ? requiredInput(context, 0).elementType : elementTypeOfCode(code);
}
