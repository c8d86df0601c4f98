import { floatAttribute, intAttribute } from "../../graph/attributes.js";
import { gemmKernel } from "../kernels/gemm.js";
import type { Lowering } from "./definition.js";
import { unsupported } from "./structure.js";

/** y = alpha x . W + beta b with constant W and b. */
export const lowerGemm: Lowering = (context) => {
  const [rows = 1, outputs = 1] = context.outputDims();
  const weights = context.constantData(1);
  const bias = context.hasInput(2) ? context.constantData(2) : new Float32Array(1);
  if (weights === undefined || bias === undefined || intAttribute(context.node, "transA") === 1) {
    throw unsupported(
      context,
      "a constant second factor and bias, and a first factor as it is",
      "another form",
    );
  }
  const inputs = weights.length / outputs;
  const transposed = intAttribute(context.node, "transB") === 1;
  const alpha = floatAttribute(context.node, "alpha") ?? 1;
  const beta = floatAttribute(context.node, "beta") ?? 1;
  const matrix = Float32Array.from({ length: weights.length }, (_, i) => {
    const [input, output] = [Math.floor(i / outputs), i % outputs];
    return alpha * (weights[transposed ? output * inputs + input : i] ?? 0);
  });
  if (bias.length !== 1 && bias.length !== outputs)
    throw unsupported(context, "a bias of one row", "a matrix");
  const row = Float32Array.from({ length: outputs }, (_, i) => beta * (bias[bias.length === 1 ? 0 : i] ?? 0));
  const kernel = gemmKernel({ rows, inputs, outputs }, context.width);
  const locations = [context.read(0), context.weights(matrix), context.weights(row), context.write()];
  context.call(kernel, locations, rows * weights.length);
};
