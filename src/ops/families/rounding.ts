import { activation } from "../channels/lanewise.js";
import { noProducts, type OpDefinition, sameTypeAsFirstInput } from "../core/definition.js";
import { numericValue } from "../core/known_values.js";
import { noGradient } from "./elementwise.js";

/** The definition of Floor and its kin: whole numbers, constant almost everywhere. */
export function roundingOp(type: string, apply: (x: number) => number): OpDefinition {
  return {
    type,
    shape: sameTypeAsFirstInput,
    value: numericValue(apply),
    channels: activation(apply),
    gradient: noGradient,
    cost: noProducts,
  };
}
