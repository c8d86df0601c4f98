import { z } from "zod";
import { pruneCoefficients } from "../prune.js";
import { defineCriterion } from "./criterion.js";
import { limitsOf, sparing } from "./network.js";

const LARGEST = 100;

/** The paper's rule (section 3.3): what is smaller than so many standard deviations of its layer's coefficients. */
export const deviation = defineCriterion({
  schema: z.object({ rule: z.literal("deviation"), factor: z.number().min(0) }),
  option: {
    flags: "--deviations <x>",
    description: "prune below x standard deviations (the paper's rule: 1)",
    expected: `a number from 0 to ${LARGEST}`,
    parse: (text) => {
      const factor = Number(text);
      const isFactor = text.trim() !== "" && factor >= 0 && factor <= LARGEST;
      return isFactor ? { rule: "deviation" as const, factor } : undefined;
    },
  },
  apply: ({ graph, original, frozen }, { factor }) =>
    pruneCoefficients(graph, {
      factor,
      scales: sparing(frozen),
      limits: limitsOf({ graph, original }),
    }).graph,
  checkReachable: undefined,
  describe: ({ factor }) => `coefficients below ${factor} standard deviations of their layer go`,
  fraction: () => undefined,
  fixesPlaces: false,
});
