import type { OutputAgreement } from "./output_comparison.js";

type Figures = Pick<OutputAgreement, "error" | "sameClass" | "overlap">;

/** The share of an output's answers that are the original's, 0 to 1; undefined where an output has no answers. */
export function sameAnswers({ sameClass, overlap }: Omit<Figures, "error">): number | undefined {
  return sameClass ?? overlap;
}

/** How like the original's an output is, 0 to 1: the share of same answers, else 1 less the error; 0 where that is not finite. */
export function likeness(figures: Figures): number {
  const { error } = figures;
  return sameAnswers(figures) ?? (error === null ? 0 : Math.max(0, 1 - error));
}
