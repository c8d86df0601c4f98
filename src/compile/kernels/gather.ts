import { constant, KernelBuilder, load, plus, position, select, times } from "../kernel_builder.js";
import type { Kernel } from "../loops.js";
import { add, once } from "./functions.js";

/** Entries of the middle axis by computed indices: input [outer, size, inner] -> output [outer, count, inner]. */
export interface ComputedGather {
  readonly outer: number;
  readonly size: number;
  readonly count: number;
  readonly inner: number;
}

/**
 * Parameters: input, indices [count], output. Indices below 0 count from the end; those outside the axis, which the
 * standard does not allow, take its first or last entry.
 */
export function gatherKernel({ outer, size, count, inner }: ComputedGather, width: number): Kernel {
  const k = new KernelBuilder(
    "gather",
    `Takes ${count} computed entries of an axis of ${size}, ${outer} x ${inner} times.`,
  );
  const input = k.input("input");
  const indices = k.input("indices");
  const output = k.output("output");
  k.loop("at", 0, count, 1, (at) => {
    const stated = once({ k, lanes: "scalar" }, load(indices, at), "stated");
    const counted = select(stated, "less", constant(0), add(stated, constant(size)), stated);
    const from = k.index("entry", times(position(counted, size - 1), inner)).read;
    k.loop("block", 0, outer, 1, (block) => {
      const start = k.index("from", plus(times(block, size * inner), from)).read;
      const to = k.index("to", times(plus(times(block, count), at), inner)).read;
      k.overElements(inner, width, (lanes, i) =>
        k.store(lanes, output, plus(to, i), load(input, plus(start, i))),
      );
    });
  });
  return k.build();
}
