import { broadcast, KernelBuilder, load, multiplyAdd, plus, times } from "../kernel_builder.js";
import type { Index, Kernel } from "../loops.js";

/** y [rows, outputs] = x [rows, inputs] . weights [inputs, outputs] + bias [outputs]. */
export interface DenseProduct {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
}

const OUTPUT_VECTORS = 8;

/** Parameters: x, weights, bias, y. */
export function gemmKernel({ rows, inputs, outputs }: DenseProduct, width: number): Kernel {
  const k = new KernelBuilder(
    `gemm_${inputs}_to_${outputs}`,
    `Product of ${rows} x ${inputs} numbers and a matrix of ${inputs} x ${outputs}.`,
  );
  const [x, weights, bias] = [k.input("x"), k.input("weights"), k.input("bias")];
  const y = k.output("y");
  k.loop("row", 0, rows, 1, (row) => {
    const block = (lanes: "scalar" | "vector", first: Index, count: number): void => {
      const size = lanes === "vector" ? width : 1;
      const sums = Array.from({ length: count }, (_, i) =>
        k.value("sum", lanes, load(bias, plus(first, i * size))),
      );
      k.loop("i", 0, inputs, 1, (i) => {
        const factor = k.value("factor", lanes, broadcast(x, plus(times(row, inputs), i))).read;
        const from = k.index("from", plus(times(i, outputs), first)).read;
        sums.forEach((sum, index) => {
          sum.set(multiplyAdd(load(weights, plus(from, index * size)), factor, sum.read));
        });
      });
      sums.forEach((sum, index) => {
        k.store(lanes, y, plus(times(row, outputs), first, index * size), sum.read);
      });
    };
    const step = OUTPUT_VECTORS * width;
    const whole = Math.floor(outputs / step) * step;
    const vectors = Math.floor((outputs - whole) / width);
    k.loop("output", 0, whole, step, (first) => block("vector", first, OUTPUT_VECTORS));
    if (vectors > 0) block("vector", whole, vectors);
    const rest = whole + vectors * width;
    if (rest < outputs) block("scalar", rest, outputs - rest);
  });
  return k.build();
}
