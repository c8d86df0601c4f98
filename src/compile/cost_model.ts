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

/** The fastest way, by the model time = products / rate. */
export function fastestKind(work: ConvWork, rates: KernelRates): ConvKernelKind {
  const times: Readonly<Record<ConvKernelKind, number>> = {
    dense: work.dense / rates.dense,
    sparse: work.nonZeros / rates.sparse,
    factored:
      work.factored === undefined
        ? Number.POSITIVE_INFINITY
        : work.factored.basis / rates.basis + work.factored.nonZeros / rates.sparse,
  };
  const kinds: readonly ConvKernelKind[] = ["dense", "sparse", "factored"];
  return kinds.reduce((best, kind) => (times[kind] < times[best] ? kind : best));
}
