import { at } from "../../graph/at.js";
import { ints, requiredInts } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import { compositeInputs, emitCompositeValue, floatType } from "../core/composite.js";
import { type OpDefinition, onlyInTraining, staticShape } from "../core/definition.js";
import { reshape, zeroPad } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";

/**
 * Puts step - 1 zeros behind every element along each axis, a composite: x -> y with dimensions dim · step;
 * attribute `steps`, one per axis. The gradient of taking every step-th element.
 */
export const SpreadOut: OpDefinition = {
  type: "SpreadOut",
  gradient: onlyInTraining,
  channels: onlyInTraining,
  cost: onlyInTraining,
  onBlocks: true,
  shape: ({ node, inputs: [x] }) => {
    const steps = stepsOf(node);
    return [floatType(staticShape(node, x).map((dim, axis) => dim * at(steps, axis)))];
  },
  // [n] -> [n, 1] -> [n, step] -> [n · step].
  expand: (b, node) => {
    const [x] = compositeInputs(node, 1);
    const steps = stepsOf(node);
    const dims = b.dims(x);
    const isSpread = (axis: number): boolean => steps[axis] !== 1;
    const split = dims.flatMap((dim, axis) => (isSpread(axis) ? [dim, 1] : [dim]));
    const ends = dims.flatMap((_, axis) => (isSpread(axis) ? [0, at(steps, axis) - 1] : [0]));
    const padded = zeroPad(b, reshape(b, x, split), [...ends.map(() => 0), ...ends]);
    const spread = dims.map((dim, axis) => dim * at(steps, axis));
    return [reshape(b, padded, spread)];
  },
};

export function stepsOf(node: Node): readonly number[] {
  return requiredInts(node, "steps");
}

/** Emits the composite, or nothing where all steps are 1. */
export function spreadOut(b: Emitter, x: string, steps: readonly number[]): string {
  if (steps.every((step) => step === 1)) return x;
  return emitCompositeValue(b, SpreadOut.type, [x], { steps: ints(steps) });
}
