import type { ContractCase } from "../contract_case.js";
import { chainCases } from "./chains.js";
import { decomposedCases } from "./decomposed.js";
import { elementwiseCases } from "./elementwise.js";
import { poolCases } from "./pools.js";
import { productCases } from "./products.js";
import { quantizedCases } from "./quantized.js";
import { randomWindowCases } from "./random_windows.js";
import { recurrentCases } from "./recurrent.js";
import { reductionCases } from "./reduce.js";
import { selectionCases } from "./selection.js";
import { structureCases } from "./structure.js";
import { tileCases } from "./tiles.js";
import { windowCases } from "./windows.js";

export const contractCases: readonly ContractCase[] = [
  ...elementwiseCases,
  ...reductionCases,
  ...structureCases,
  ...selectionCases,
  ...quantizedCases,
  ...recurrentCases,
  ...productCases,
  ...windowCases,
  ...poolCases,
  ...randomWindowCases,
  ...tileCases,
  ...decomposedCases,
  ...chainCases,
];

/** Operators that Penni knows and that no case is about, and why. */
export const withoutCases: ReadonlyMap<string, string> = new Map([
  [
    "MaxUnpool",
    "it scatters to computed positions and occurs only in training steps of Penni's own: not compiled",
  ],
  ["NonMaxSuppression", "how many boxes it finds depends on the data, and shapes are fixed: not compiled"],
  ["NonZero", "how many positions it finds depends on the data, and shapes are fixed: not compiled"],
  ["ReverseSequence", "it occurs around recurrent layers, which are not compiled either"],
]);
