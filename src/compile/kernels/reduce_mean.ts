import { binary, constant, KernelBuilder, load, plus, times } from "../kernel_builder.js";
import type { Kernel } from "../loops.js";

/** How many sums run side by side, so that one addition does not wait for the last. */
const SUMS = 8;

/** The sum of each of `rows` runs of `count` elements, times a scale. Parameters: input, output. */
export function rowSumKernel(rows: number, count: number, scale: number): Kernel {
  const k = new KernelBuilder(
    `row_sum_${rows}x${count}`,
    `Scaled sums of ${rows} rows of ${count} elements.`,
  );
  const input = k.input("input");
  const output = k.output("output");
  k.loop("row", 0, rows, 1, (row) => {
    const start = k.index("start", times(row, count)).read;
    const sums = Array.from({ length: Math.min(SUMS, count) }, (_, i) =>
      k.value("sum", "scalar", load(input, plus(start, i))),
    );
    const whole = count - (count % SUMS);
    k.loop("i", SUMS, whole, SUMS, (i) => {
      sums.forEach((sum, index) => {
        sum.set(binary("add", sum.read, load(input, plus(start, i, index))));
      });
    });
    const rest = count < SUMS ? [] : Array.from({ length: count - whole }, (_, i) => whole + i);
    rest.forEach((i, index) => {
      const sum = sums[index];
      sum?.set(binary("add", sum.read, load(input, plus(start, i))));
    });
    const total = sums
      .slice(1)
      .reduce((sum, next) => binary("add", sum, next.read), sums[0]?.read ?? constant(0));
    k.store("scalar", output, row, binary("multiply", total, constant(scale)));
  });
  return k.build();
}
