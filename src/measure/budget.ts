import { z } from "zod";
import type { EngineFigures } from "./bench_models.js";
import { ratioOfRounds } from "./interval.js";

const most = z.number().positive();

/** What a compiled model may cost at most, and what it must reach. */
export const budgetSchema = z.strictObject({
  atMost: z
    .strictObject({
      /** Of the compiled module. */
      bytes: most,
      gzippedBytes: most,
      /** Computed for one image. */
      multiplyAccumulates: most,
      /** While it runs. */
      memoryBytes: most,
      /** The median of one image on one thread. Machines differ: where this one is not always the same, take `timeRatio`. */
      milliseconds: most,
      /** Its time in that of the second model, measured in the same run. */
      timeRatio: most,
    })
    .partial()
    .optional(),
  atLeast: z
    .strictObject({ top1: z.number().min(0).max(1) })
    .partial()
    .optional(),
});

export type Budget = z.infer<typeof budgetSchema>;

type Limit = keyof NonNullable<Budget["atMost"]> | keyof NonNullable<Budget["atLeast"]>;

/** A figure of a model beside what the budget says of it. */
export interface BudgetLine {
  readonly what: Limit;
  readonly limit: number;
  /** Undefined where there is nothing to judge by. */
  readonly found: number | undefined;
  /** Where the true value lies with 95 % confidence, for what is a matter of chance. */
  readonly low?: number;
  readonly high?: number;
  readonly isKept: boolean;
}

/** What a model is judged by. */
export interface Judged {
  readonly compiled: EngineFigures;
  /** The second model, compiled. */
  readonly peer?: EngineFigures | undefined;
  readonly top1?: number | undefined;
}

/**
 * Each limit of a budget with what was found. Times are over it only where their whole interval is: what may be chance
 * fails nobody. What could not be measured is not kept.
 */
export function judgeBudget({ atMost = {}, atLeast = {} }: Budget, judged: Judged): readonly BudgetLine[] {
  const { compiled, peer, top1 } = judged;
  const { medianMs, lowMs, highMs } = compiled;
  const ratio = peer === undefined ? undefined : ratioOfRounds(peer.roundsMs, compiled.roundsMs);
  const upper: Readonly<Record<keyof typeof atMost, Found>> = {
    bytes: { value: compiled.bytes },
    gzippedBytes: { value: compiled.gzippedBytes },
    multiplyAccumulates: { value: compiled.multiplyAccumulates },
    memoryBytes: { value: compiled.memoryBytes },
    milliseconds: { value: medianMs, low: lowMs, high: highMs },
    timeRatio: { value: ratio?.value, ...(ratio === undefined ? {} : { low: ratio.low, high: ratio.high }) },
  };
  const costs = limitsOf(atMost).map(([what, limit]): BudgetLine => {
    const { value, ...interval } = upper[what];
    const least = interval.low ?? value;
    return { what, limit, found: value, ...interval, isKept: least !== undefined && least <= limit };
  });
  const merits = limitsOf(atLeast).map(([what, limit]): BudgetLine => {
    return { what, limit, found: top1, isKept: top1 !== undefined && top1 >= limit };
  });
  return [...costs, ...merits];
}

interface Found {
  readonly value: number | undefined;
  readonly low?: number;
  readonly high?: number;
}

function limitsOf<Name extends string>(
  limits: Readonly<Partial<Record<Name, number | undefined>>>,
): readonly (readonly [Name, number])[] {
  const names = Object.keys(limits) as Name[];
  return names.flatMap((name) => {
    const limit = limits[name];
    return limit === undefined ? [] : [[name, limit] as const];
  });
}
