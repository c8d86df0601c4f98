/** Ways to compute a convolution. */
export type ConvKernelKind = "dense" | "sparse" | "factored";

/** Multiply-accumulates in a nanosecond that each kind of kernel reaches, one thread. */
export interface KernelRates {
  readonly dense: number;
  readonly sparse: number;
  readonly basis: number;
}

/** What a convolution costs in each form: products at one output position. */
export interface ConvWork {
  readonly dense: number;
  readonly nonZeros: number;
  /** Of a decomposed layer: products with the basis, and coefficients that are not zero. */
  readonly factored: { readonly basis: number; readonly nonZeros: number } | undefined;
}

const kinds: readonly ConvKernelKind[] = ["dense", "sparse", "factored"];

/** The fastest way, by the model time = products / rate. */
export function fastestKind(work: ConvWork, rates: KernelRates): ConvKernelKind {
  const times = timesOf(work, rates);
  return kinds.reduce((best, kind) => (times[kind] < times[best] ? kind : best));
}

/** Nanoseconds of the fastest way at one output position. */
export function fastestTime(work: ConvWork, rates: KernelRates): number {
  return Math.min(...Object.values(timesOf(work, rates)));
}

function timesOf(
  { dense, nonZeros, factored }: ConvWork,
  rates: KernelRates,
): Readonly<Record<ConvKernelKind, number>> {
  return {
    dense: dense / rates.dense,
    sparse: nonZeros / rates.sparse,
    factored:
      factored === undefined
        ? Number.POSITIVE_INFINITY
        : factored.basis / rates.basis + factored.nonZeros / rates.sparse,
  };
}
