import { activation } from "./channels/lanewise.js";
import { type OpDefinition, sameTypeAsFirstInput } from "./definition.js";
import { noGradient } from "./elementwise.js";
import { numericValue } from "./known_values.js";

/** The definition of Floor and its kin: whole numbers, constant almost everywhere. */
export function roundingOp(type: string, apply: (x: number) => number): OpDefinition {
  return {
    type,
    shape: sameTypeAsFirstInput,
    value: numericValue(apply),
    channels: activation(apply),
    gradient: noGradient,
  };
}
