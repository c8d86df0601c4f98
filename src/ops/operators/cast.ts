import { intAttribute } from "../../graph/attributes.js";
import { ofInput } from "../../graph/operands.js";
import { shapeError } from "../../graph/shape_error.js";
import type { ElementType, Node } from "../../graph/types.js";
import { laneWise } from "../channels/lanewise.js";
import type { NodeContext } from "../core/context.js";
import type { OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { cast, elementTypeOfCode, isFloat } from "../core/element_types.js";
import { type KnownElement, mapKnown } from "../core/known_values.js";

/** y = x as another element type (ONNX Cast, opset 6 and later). dx = dy cast back, between float types. */
export const Cast: OpDefinition = {
  type: "Cast",
  cost: noProducts,
  elements: "converted",
  shape: ({ node, inputs: [x] }) => [{ elementType: targetType(node), shape: x?.shape }],
  value: castValue,
  channels: laneWise({}),
  gradient: ({ builder: b, node, outputGradients: [dy] }) => {
    const source = ofInput(b.types, node, 0)?.elementType;
    if (dy === undefined || source === undefined || source === "other") return [];
    return isFloat(source) && isFloat(targetType(node)) ? [cast(b, dy, source)] : [];
  },
};

function targetType(node: Node): ElementType {
  const code = intAttribute(node, "to");
  if (code === undefined) throw shapeError(node, 'attribute "to" is missing', "an element type");
  return elementTypeOfCode(code);
}

function castValue({ node, values: [x] }: NodeContext): ReturnType<NonNullable<OpDefinition["value"]>> {
  const type = targetType(node);
  // What bfloat16 rounds away is not followed here.
  if (type === "string" || type === "other" || type === "bfloat16") return [];
  const convert = ([element]: readonly KnownElement[]): KnownElement => {
    if (type !== "bool") return element;
    return typeof element === "number" ? Number(element !== 0) : undefined;
  };
  return [mapKnown(node, type, [x], convert)];
}
