import { at } from "../../graph/at.js";
import { attributesOf } from "../../graph/attributes.js";
import { inputOrOmitted } from "../../graph/operands.js";
import { elementCount, float32Tensor, numericData } from "../../graph/tensor.js";
import type { Node, Tensor } from "../../graph/types.js";
import type { TypedBuilder } from "../inference/builder.js";

const LSTM = [
  ...[
    "activation_alpha",
    "activation_beta",
    "activations",
    "clip",
    "direction",
    "hidden_size",
    "input_forget",
  ],
];
/** Inputs that both have, the weights among them; then scale and zero point of each. */
const [SHARED, WEIGHTS, RECURRENT] = [8, 1, 2];

/**
 * ONNX Runtime's DynamicQuantizeLSTM as the LSTM that it was: its weights are quantized and turned, [directions, size of
 * what they read, 4 gates], and its data are quantized in every step. False where weights or what belongs to them is
 * computed.
 */
export function realLstm(b: TypedBuilder, node: Node): boolean {
  const weights = realWeights(b, node, WEIGHTS, SHARED);
  const recurrent = realWeights(b, node, RECURRENT, SHARED + 2);
  if (weights === undefined || recurrent === undefined) return false;
  const inputs = Array.from({ length: SHARED }, (_, index) => inputOrOmitted(node, index));
  const constants = [weights, recurrent].map((tensor) => b.constant("lstm_weights", tensor));
  inputs.splice(WEIGHTS, constants.length, ...constants);
  while (inputs.at(-1) === "") inputs.pop();
  b.emit("LSTM", inputs, { outputs: node.outputs, attributes: attributesOf(node, LSTM) });
  return true;
}

/** [directions, gates, size] of weights [directions, size, gates] with a scale for each direction, or for each gate too. */
function realWeights(b: TypedBuilder, node: Node, index: number, parameters: number): Tensor | undefined {
  const [integers, scales, zeros] = [index, parameters, parameters + 1].map((input) =>
    b.constantTensor(inputOrOmitted(node, input)),
  );
  if (integers === undefined || scales === undefined || zeros === undefined) return undefined;
  const [directions, size, gates, ...more] = integers.dims;
  if (directions === undefined || size === undefined || gates === undefined || more.length > 0)
    return undefined;
  if (integers.type !== "int8" && integers.type !== "uint8") return undefined;
  const ofGates = (tensor: Tensor): ((direction: number, gate: number) => number) | undefined => {
    const numbers = numericData(tensor);
    if (elementCount(tensor.dims) === directions) return (direction) => at(numbers, direction);
    if (elementCount(tensor.dims) !== directions * gates) return undefined;
    return (direction, gate) => at(numbers, direction * gates + gate);
  };
  const [scale, zero] = [ofGates(scales), ofGates(zeros)];
  if (scale === undefined || zero === undefined || scales.type !== "float32") return undefined;
  const numbers = new Float32Array(elementCount(integers.dims));
  numericData(integers).forEach((value, place) => {
    const [direction, column, gate] = [
      Math.floor(place / (size * gates)),
      Math.floor(place / gates) % size,
      place % gates,
    ];
    numbers[(direction * gates + gate) * size + column] =
      (value - zero(direction, gate)) * scale(direction, gate);
  });
  return float32Tensor([directions, gates, size], numbers);
}
