import {
  binary,
  constant,
  fromIndex,
  KernelBuilder,
  load,
  plus,
  select,
  times,
  unary,
} from "../kernel_builder.js";
import type { Kernel, Value } from "../loops.js";
import { once } from "./functions.js";

/** The `count` largest (or smallest) of each run along the middle axis of [outer, size, inner], in order. */
export interface Ranking {
  readonly outer: number;
  readonly size: number;
  readonly inner: number;
  readonly count: number;
  readonly order: "largest" | "smallest";
}

/**
 * Parameters: input, values [outer, count, inner], their positions. Each entry is the best of those that come after the
 * last one; of equal ones the one that stands first comes first.
 */
export function topKKernel({ outer, size, inner, count, order }: Ranking, width: number): Kernel {
  const k = new KernelBuilder(
    "top_k",
    `The ${count} ${order} of ${size} elements, ${outer} x ${inner} times.`,
  );
  const input = k.input("input");
  const values = k.output("values");
  const positions = k.output("positions");
  const least = constant(Number.NEGATIVE_INFINITY);
  const signed = (x: Value): Value => (order === "largest" ? x : unary("negate", x));
  const [zero, one] = [constant(0), constant(1)];
  k.loop("block", 0, outer, 1, (block) => {
    k.overElements(inner, width, (lanes, i) => {
      const place = { k, lanes };
      const start = k.index("start", plus(times(block, size * inner), i)).read;
      const last = k.value("last", lanes, constant(Number.POSITIVE_INFINITY));
      const lastAt = k.value("last_at", lanes, constant(-1));
      k.loop("rank", 0, count, 1, (rank) => {
        const best = k.value("best", lanes, least);
        const found = k.value("found", lanes, constant(size));
        k.loop("candidate", 0, size, 1, (candidate) => {
          const x = once(place, signed(load(input, plus(start, times(candidate, inner)))), "x");
          const at = once(place, fromIndex(candidate), "at");
          const isBehind = select(lastAt.read, "less", at, one, zero);
          const isLeft = once(
            place,
            select(x, "less", last.read, one, select(x, "equal", last.read, isBehind, zero)),
            "is_left",
          );
          // The least number of all must be found as well: nothing is before the end.
          const isFirst = select(found.read, "equal", constant(size), one, zero);
          const isBetter = select(best.read, "less", x, one, select(best.read, "equal", x, isFirst, zero));
          const isTaken = once(place, binary("multiply", isLeft, isBetter), "is_taken");
          best.set(select(isTaken, "equal", one, x, best.read));
          found.set(select(isTaken, "equal", one, at, found.read));
        });
        const to = k.index("to", plus(times(plus(times(block, count), rank), inner), i)).read;
        k.store(lanes, values, to, signed(best.read));
        k.store(lanes, positions, to, found.read);
        last.set(best.read);
        lastAt.set(found.read);
      });
    });
  });
  return k.build();
}
