import { z } from "zod";
import { entryOf, present } from "../../graph/at.js";
import { withInitializers } from "../../graph/edit.js";
import { PenniError } from "../../graph/errors.js";
import { elementCount, float32Data, float32Tensor } from "../../graph/tensor.js";
import type { Graph } from "../../graph/types.js";
import { findDecompositions } from "../../layers/weights.js";
import { prunableInitializers } from "../prune.js";
import { defineCriterion } from "./criterion.js";
import { type PrunableNetwork, withinOriginal } from "./network.js";

const schema = z
  .object({
    rule: z.literal("pattern"),
    /** N: the most that remain of every `of`. */
    keep: z.number().int().min(1),
    /** M. */
    of: z.number().int().min(2),
  })
  .refine(({ keep, of }) => keep < of, "keep must be below of");

type Pattern = Pick<z.infer<typeof schema>, "keep" | "of">;

/**
 * N:M sparsity: of every M consecutive coefficients at most N remain, the largest ones; of equals, the first.
 *
 * Consecutive are the coefficients of one output along the *inputs of the convolution that multiplies them*, which is the
 * axis that a matrix product sums over and hardware wants the pattern on. Of coefficients [K, C, d] those inputs are the
 * C·d basis maps, channel after channel, as they lie in the file (and in the 1x1 convolution [K, C·d, 1, 1] of the
 * factored form). Of a weight [K, C, R, S] without a basis they are the C channels, at each of the R·S taps: elements
 * R·S apart. Counting begins anew with every output, every group of a grouped convolution and every tap. Of what is left
 * over at the end, fewer than M, at most N remain, so that the pattern holds of what zeros fill up.
 */
export const pattern = defineCriterion({
  schema,
  option: {
    flags: "--pattern <N:M>",
    description:
      "prune to N:M sparsity: of every M consecutive coefficients along the inputs at most N remain, as 2:4; channels stay in place",
    expected: "N:M with whole numbers 0 < N < M, such as 2:4",
    parse: (text) => {
      const found = /^(\d+):(\d+)$/.exec(text.trim());
      if (found === null) return undefined;
      const [, keep, of] = found;
      return schema.safeParse({ rule: "pattern", keep: Number(keep), of: Number(of) }).data;
    },
  },
  apply: (network, rule) => withinOriginal({ ...network, graph: withPattern(network, rule) }),
  checkReachable,
  describe: ({ keep, of }) =>
    `of every ${of} consecutive coefficients along the inputs of an output the ${keep} largest remain, and channels stay in place`,
  fraction: () => undefined,
  fixesPlaces: true,
});

/** The coefficients that one output sums: `length` of them, each `stride` behind the one before. */
interface Lines {
  readonly initializer: string;
  readonly length: number;
  readonly stride: number;
}

function linesOf({ graph, frozen }: PrunableNetwork): readonly Lines[] {
  const coefs = new Set(findDecompositions(graph).map((layer) => layer.coefs));
  return prunableInitializers(graph)
    .filter((initializer) => !frozen.has(initializer))
    .flatMap((initializer): readonly Lines[] => {
      const { dims } = entryOf(graph.initializers, initializer);
      if (elementCount(dims) === 0) return [];
      const [, ...inner] = dims;
      if (coefs.has(initializer)) return [{ initializer, length: elementCount(inner), stride: 1 }];
      const [channels, ...taps] = inner;
      return channels === undefined ? [] : [{ initializer, length: channels, stride: elementCount(taps) }];
    });
}

function withPattern(network: PrunableNetwork, rule: Pattern): Graph {
  const { graph } = network;
  const pruned = linesOf(network).map((lines) => {
    const tensor = entryOf(graph.initializers, lines.initializer);
    const values = float32Data(tensor).slice();
    for (const place of losers(values, lines, rule)) values[place] = 0;
    return [lines.initializer, float32Tensor(tensor.dims, values)] as const;
  });
  return withInitializers(graph, pruned);
}

/** Places of the values that go. */
function* losers(values: Float32Array, { length, stride }: Lines, { keep, of }: Pattern): Iterable<number> {
  // What is no number is worth nothing.
  const size = (place: number): number => Math.abs(present(values[place])) || 0;
  for (let line = 0; line < values.length; line += length * stride) {
    for (let first = line; first < line + stride; first++) {
      for (let start = 0; start < length; start += of) {
        const count = Math.min(of, length - start);
        const places = Array.from({ length: count }, (_, at) => first + (start + at) * stride);
        yield* places.sort((a, b) => size(b) - size(a) || a - b).slice(keep);
      }
    }
  }
}

function checkReachable(network: PrunableNetwork, { keep, of }: Pattern): void {
  const longest = linesOf(network).reduce((most, { length }) => Math.max(most, length), 0);
  if (longest > keep) return;
  throw new PenniError("bad-option", "the pattern leaves every coefficient where it is", {
    expected: `a layer whose outputs sum more than ${keep} coefficients`,
    found: `at most ${longest}, of which ${keep} of ${of} may remain`,
    advice: longest > 1 ? `Give an N of at most ${longest - 1}` : "There is nothing to prune",
  });
}
