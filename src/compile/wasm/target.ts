import { weightsTypes } from "../../graph/weights_type.js";
import type { Target } from "../target.js";
import { WASM_LANES } from "./function_body.js";

/** 128-bit SIMD. */
export const wasmTarget: Target = {
  width: WASM_LANES,
  rates: { dense: 12.5, sparse: 12, basis: 12.5 },
  prepares: weightsTypes,
};
