import { constant, fromIndex, KernelBuilder, load, plus, select, times } from "../kernel_builder.js";
import type { Kernel } from "../loops.js";
import { larger, once } from "./functions.js";

/** Input [outer, size, inner] -> positions of the maxima along the middle axis [outer, inner]. */
export interface MaximumSearch {
  readonly outer: number;
  readonly size: number;
  readonly inner: number;
  /** Which of several equal maxima. */
  readonly chosen: "first" | "last";
}

/** Parameters: input, output. */
export function argMaxKernel({ outer, size, inner, chosen }: MaximumSearch, width: number): Kernel {
  const k = new KernelBuilder(
    "arg_max",
    `Positions of the maxima of ${size} elements, ${outer} x ${inner} times.`,
  );
  const input = k.input("input");
  const output = k.output("output");
  const comparison = chosen === "first" ? "less" : "lessOrEqual";
  k.loop("block", 0, outer, 1, (block) => {
    k.overElements(inner, width, (lanes, i) => {
      const start = k.index("start", plus(times(block, size * inner), i)).read;
      const best = k.value("best", lanes, load(input, start));
      const found = k.value("found", lanes, constant(0));
      k.loop("candidate", 1, size, 1, (candidate) => {
        const x = once({ k, lanes }, load(input, plus(start, times(candidate, inner))), "x");
        found.set(select(best.read, comparison, x, fromIndex(candidate), found.read));
        best.set(larger(best.read, x));
      });
      k.store(lanes, output, plus(times(block, inner), i), found.read);
    });
  });
  return k.build();
}
