import type { WeightsType } from "../graph/weights_type.js";
import type { KernelRates } from "./cost_model.js";

/** What kernels are generated for. */
export interface Target {
  /** Lanes of a vector of float32. */
  readonly width: number;
  readonly rates: KernelRates;
  /**
   * Types that weights may be kept as for memory to be there in which they are prepared once, when they are loaded; of
   * others, and where this is absent, runs read constants as they are.
   */
  readonly prepares?: readonly WeightsType[];
  /**
   * A C compiler makes machine code of the kernels: it multiplies and adds at once, and some machines have twice as many
   * vector registers, for which kernels have a second body.
   */
  readonly isNative?: true;
}

export const preparesWeights = ({ prepares }: Target, type: WeightsType): boolean =>
  prepares?.includes(type) === true;
