import { present } from "../../graph/at.js";
import { broadcast, entry, KernelBuilder, load, multiplyAdd, plus, times } from "../kernel_builder.js";
import type { Kernel, Value } from "../loops.js";
import { multiply } from "./functions.js";

/** A linear map along the middle axis: input [outer, inputs, inner] -> output [outer, outputs, inner]. */
export interface LinearMap {
  readonly outer: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly inner: number;
  /** Elements of the input that every element of the output is made of. */
  readonly taps: number;
  /** Whether elements are only copied. */
  readonly isCopy: boolean;
}

/**
 * Parameters: input, positions of the taps [outputs, taps] (i32, times `inner`), (their weights [outputs, taps],)
 * output.
 */
export function axisMapKernel(map: LinearMap, width: number): Kernel {
  const { outer, inputs, outputs, inner, taps, isCopy } = map;
  const k = new KernelBuilder(
    isCopy ? "pick" : "interpolate",
    `Maps an axis of ${inputs} elements to ${outputs}, ${outer} x ${inner} times, ${taps} taps.`,
  );
  const input = k.input("input");
  const table = k.input("positions", "i32");
  const weights = isCopy ? undefined : k.input("weights");
  const output = k.output("output");
  const numbers = Array.from({ length: taps }, (_, tap) => tap);
  k.loop("block", 0, outer, 1, (block) => {
    k.loop("at", 0, outputs, 1, (at) => {
      const start = times(block, inputs * inner);
      const sources = numbers.map(
        (tap) => k.index("from", plus(start, entry(table, plus(times(at, taps), tap)))).read,
      );
      const to = k.index("to", times(plus(times(block, outputs), at), inner)).read;
      k.overElements(inner, width, (lanes, i) => {
        const terms = sources.map((source) => load(input, plus(source, i)));
        const [first, rest] = [present(terms[0]), terms.slice(1)];
        if (weights === undefined) {
          k.store(lanes, output, plus(to, i), first);
          return;
        }
        const weight = (tap: number): Value => broadcast(weights, plus(times(at, taps), tap));
        const sum = rest.reduce<Value>(
          (total, term, index) => multiplyAdd(term, weight(index + 1), total),
          multiply(first, weight(0)),
        );
        k.store(lanes, output, plus(to, i), sum);
      });
    });
  });
  return k.build();
}
