import { percent } from "../../../src/report/format.js";
import { network } from "../state.js";

/** Shares below this are none to speak of. */
const LEAST = 0.005;

/** What the network is, and what can be expected of it. */
export function Summary() {
  const summary = network.value;
  if (summary === undefined) return null;
  const { name, inputs, outputs, kinds, isDequantized } = summary;
  const { kernels, weights, fixed } = kinds;
  return (
    <section aria-labelledby="network">
      <h2 id="network" class="layer-name">
        {name}
      </h2>
      <p>
        {`In: ${inputs.join("; ")}. Out: ${outputs.join("; ")}. `}
        {kernels.share > LEAST &&
          `${percent(kernels.share, 0)} of the multiply-accumulates have kernels that can share a basis. `}
        {weights.share > LEAST &&
          `${percent(weights.share, 0)} have single weights to remove, which saves time once compiled. `}
        {fixed.share > LEAST && `${percent(fixed.share, 0)} stay as they are.`}
      </p>
      {isDequantized && (
        <p class="note">
          The file holds a quantized network. What is changed here is the float32 network behind its integers;
          quantize what comes out.
        </p>
      )}
    </section>
  );
}
