import type { KernelRates } from "./cost_model.js";

/** What kernels are generated for. */
export interface Target {
  /** Lanes of a vector of float32. */
  readonly width: number;
  readonly rates: KernelRates;
}
