import { constant, KernelBuilder, load, plus, times } from "../kernel_builder.js";
import type { Kernel } from "../loops.js";
import { add } from "./functions.js";

/** Running sums along the middle axis of [outer, size, inner]. */
export interface RunningSum {
  readonly outer: number;
  readonly size: number;
  readonly inner: number;
  /** Whether an element is left out of its own sum. */
  readonly exclusive: boolean;
  /** Whether the sums run from the end. */
  readonly reverse: boolean;
}

/** Parameters: input, output. */
export function runningSumKernel(sum: RunningSum, width: number): Kernel {
  const { outer, size, inner, exclusive, reverse } = sum;
  const k = new KernelBuilder("running_sum", `Running sums of ${size} elements, ${outer} x ${inner} times.`);
  const input = k.input("input");
  const output = k.output("output");
  const first = reverse ? size - 1 : 0;
  const step = reverse ? -1 : 1;
  k.loop("block", 0, outer, 1, (block) => {
    k.overElements(inner, width, (lanes, i) => {
      const start = k.index("start", plus(times(block, size * inner), i)).read;
      const total = k.value("total", lanes, constant(0));
      k.loop("n", 0, size, 1, (n) => {
        const at = k.index("at", plus(start, times(plus(first, times(n, step)), inner))).read;
        // Read before it is written: what comes after may be the same memory.
        const x = k.value("x", lanes, load(input, at)).read;
        if (exclusive) k.store(lanes, output, at, total.read);
        total.set(add(total.read, x));
        if (!exclusive) k.store(lanes, output, at, total.read);
      });
    });
  });
  return k.build();
}
