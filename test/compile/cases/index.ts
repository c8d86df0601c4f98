import type { ContractCase } from "../contract_case.js";
import { elementwiseCases } from "./elementwise.js";
import { poolCases } from "./pools.js";
import { productCases } from "./products.js";
import { randomWindowCases } from "./random_windows.js";
import { reductionCases } from "./reduce.js";
import { structureCases } from "./structure.js";
import { windowCases } from "./windows.js";

export const contractCases: readonly ContractCase[] = [
  ...elementwiseCases,
  ...reductionCases,
  ...structureCases,
  ...productCases,
  ...windowCases,
  ...poolCases,
  ...randomWindowCases,
];

/** Operators that Penni knows and that no case is about, and why. */
export const withoutCases: ReadonlyMap<string, string> = new Map([
  [
    "MaxUnpool",
    "it scatters to computed positions and occurs only in training steps of Penni's own: not compiled",
  ],
]);
