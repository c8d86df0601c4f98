import { C_LANES } from "./c/files.js";
import type { Target } from "./compile.js";
import { wasmTarget } from "./wasm/target.js";

/** What code can be generated for. */
export type TargetName = "wasm" | "c";

export const targets: Readonly<Record<TargetName, Target>> = {
  wasm: wasmTarget,
  c: { width: C_LANES, rates: { dense: 45, sparse: 26, basis: 40 } },
};
