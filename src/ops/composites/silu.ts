import { compositeInputs, emitCompositeValue } from "../core/composite.js";
import { type OpDefinition, onlyInTraining, sameTypeAsFirstInput } from "../core/definition.js";
import { add, mul, sub } from "../core/emit.js";
import { unaryGradient } from "../families/elementwise.js";

/**
 * y = x·σ(x) with σ(x) = 1 / (1 + e⁻ˣ), a composite for training steps (Swish; ONNX writes it as Mul(x, Sigmoid(x))). Its
 * gradient computes σ(x) again, which costs less than to keep it from the forward to the backward pass.
 */
export const Silu: OpDefinition = {
  type: "Silu",
  channels: onlyInTraining,
  cost: onlyInTraining,
  onBlocks: true,
  shape: sameTypeAsFirstInput,
  gradient: unaryGradient(({ b, x, y, dy }) => emitCompositeValue(b, SiluGradient.type, [dy, x, y])),
  expand: (b, node) => {
    const [x] = compositeInputs(node, 1);
    return [mul(b, x, b.emit("Sigmoid", [x]))];
  },
};

/** Gradient of Silu, a composite: dy, x and y of one shape -> dx = dy·(σ + x·σ·(1 - σ)) = dy·(y + σ·(1 - y)). */
export const SiluGradient: OpDefinition = {
  type: "SiluGradient",
  gradient: onlyInTraining,
  channels: onlyInTraining,
  cost: onlyInTraining,
  onBlocks: true,
  shape: sameTypeAsFirstInput,
  expand: (b, node) => {
    const [dy, x, y] = compositeInputs(node, 3);
    const slope = add(b, y, mul(b, b.emit("Sigmoid", [x]), sub(b, b.scalar(1), y)));
    return [mul(b, dy, slope)];
  },
};
