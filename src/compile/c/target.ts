import { weightsTypes } from "../../graph/weights_type.js";
import type { Target } from "../target.js";

/** Lanes of the vectors that kernels for C are generated with, on every machine. */
export const C_LANES = 8;

export const cTarget: Target = {
  width: C_LANES,
  rates: { dense: 52, sparse: 30, basis: 56 },
  // Weights of float32 are constants that need no memory.
  prepares: ["float16", "int8"],
  isNative: true,
};

/** The same with memory in which weights of all types are made ready, once, by `NAME_prepare` (or `NAME_unpack`). */
export const preparingCTarget: Target = { ...cTarget, prepares: weightsTypes };
