import { intAttributeOr } from "../../graph/attributes.js";
import type { Node, Tensor } from "../../graph/types.js";
import { integersOf } from "./quantized_constants.js";

/** What integers are multiplied with and counted from: names, "" for no zero point, and the axis that several lie along. */
export interface Step {
  readonly scale: string;
  readonly zeroPoint: string;
  readonly axis: number;
  readonly block: number;
}

/** The step of a node's attributes. @param rank of what it is given; the axis stays as it is written where it is not known */
export function stepOf(node: Node, rank: number | undefined, scale: string, zeroPoint: string): Step {
  const stated = intAttributeOr(node, "axis", 1);
  const axis = stated < 0 && rank !== undefined ? stated + rank : stated;
  return { scale, zeroPoint, axis, block: intAttributeOr(node, "block_size", 0) };
}

type Constants = ReadonlyMap<string, Tensor>;

/** Whether a step is one number for the whole tensor, or many that are the same. */
export function isOfAll({ scale, zeroPoint }: Step, constants: Constants): boolean {
  return [scale, zeroPoint].every((name) => {
    if (name === "") return true;
    const values = integersOf(constants.get(name))?.values;
    return values?.every((value) => value === values[0]) === true;
  });
}

/** Whether integers stand for the same numbers by both. */
export function isSameStep(a: Step, b: Step, constants: Constants): boolean {
  const isSame = (left: string, right: string): boolean => {
    const [one, other] = [left, right].map((name) => numbersOf(name, constants));
    return left === right || (one !== undefined && one === other);
  };
  if (!isSame(a.scale, b.scale) || !isSame(a.zeroPoint, b.zeroPoint)) return false;
  return isOfAll(a, constants) || (a.axis === b.axis && a.block === b.block);
}

/** Constant scales or zero points as text, with no difference between none, a zero and many; undefined for others. */
function numbersOf(name: string, constants: Constants): string | undefined {
  if (name === "") return "0";
  const values = integersOf(constants.get(name))?.values;
  return values?.every((value) => value === values[0]) ? String(values[0]) : values && String(values);
}
