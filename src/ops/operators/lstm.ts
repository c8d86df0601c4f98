import { at } from "../../graph/at.js";
import { int } from "../../graph/attributes.js";
import { firstOf } from "../../graph/operands.js";
import type { OpDefinition } from "../core/definition.js";
import { add, matMul, mul } from "../core/emit.js";
import { recurrentFacts, recurrentTypes, type Step, unrolled } from "../families/recurrent.js";

/** Long short-term memory (ONNX LSTM, opset 7 and later); gates in the order input, output, forget, cell. */
export const LSTM: OpDefinition = {
  type: "LSTM",
  ...recurrentFacts,
  shape: (context) => recurrentTypes(context, 2),
  expand: (b, node) => unrolled(b, node, { gates: 4, initial: [5, 6], step: lstmStep }),
};

/** c = forget * c + input * tanh(cell), h = output * tanh(c). */
const lstmStep: Step = (projected, states, { b, hidden, recurrent, bias }) => {
  const [h, c] = firstOf(states, 2);
  const product = add(b, projected, matMul(b, h, recurrent));
  const sum = bias === undefined ? product : add(b, product, bias);
  const outputs = ["input", "output", "forget", "cell"].map((gate) => b.freshName(gate));
  b.emit("Split", [sum, b.axes([hidden, hidden, hidden, hidden])], { attributes: { axis: int(1) }, outputs });
  const [input, output, forget] = firstOf(
    outputs.slice(0, 3).map((gate) => b.emit("Sigmoid", [gate])),
    3,
  );
  const next = add(b, mul(b, forget, c), mul(b, input, b.emit("Tanh", [at(outputs, 3)])));
  return [mul(b, output, b.emit("Tanh", [next])), next];
};
