import type { OutputAgreement } from "../measure/output_comparison.js";

/** The figure that tells how well the classes of an output agree, by what the output is; undefined where it has none. */
export function classFigure({
  sameClass,
  classOf,
  overlap,
}: OutputAgreement): { readonly name: string; readonly value: number } | undefined {
  if (sameClass !== undefined)
    return { name: classOf === "position" ? "same class per position" : "same class", value: sameClass };
  return overlap === undefined ? undefined : { name: "found by both", value: overlap };
}
