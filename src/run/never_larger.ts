import { PenniError } from "../graph/errors.js";
import type { Figures } from "./summary.js";

/** What a network costs before any measurement. */
export type Costs = Pick<Figures, "parameters" | "paperMacs" | "executedMacs" | "bytes">;

/** What each cost is called to people. */
const names: Readonly<Record<keyof Costs, string>> = {
  parameters: "parameters",
  paperMacs: "multiply-accumulates (paper count)",
  executedMacs: "multiply-accumulates (executed)",
  bytes: "bytes of the file",
};

const keys: readonly (keyof Costs)[] = ["parameters", "paperMacs", "executedMacs", "bytes"];

const shown = (value: number): string => value.toLocaleString("en-US");

/** Up to here a file is mostly structure: nodes, names and shapes. Its bytes say little about the network. */
export const STRUCTURE_BYTES = 2 ** 16;

/** What structure may add to a larger file, as a share of it: nobody wants to lose a faster network for that. */
const STRUCTURE_SHARE = 0.01;

/** The most bytes that a result may have for an original of so many. */
export const mostBytes = (original: number): number =>
  Math.max(Math.floor((1 + STRUCTURE_SHARE) * original), STRUCTURE_BYTES);

/** The most that a result may cost. */
const limits = (original: Costs): Costs => ({ ...original, bytes: mostBytes(original.bytes) });

/**
 * Refuses a result that costs more than what came in, in any respect; its file may grow by what structure costs
 * (`mostBytes`; `growth` tells so).
 * @throws PenniError "bad-option"
 */
export function refuseLarger(original: Costs, compressed: Costs): void {
  const limit = limits(original);
  const larger = keys.filter((key) => compressed[key] > limit[key]);
  if (larger.length === 0) return;
  const list = (costs: Costs): string => larger.map((key) => `${shown(costs[key])} ${names[key]}`).join(", ");
  throw new PenniError("bad-option", "the result would be larger than what came in", {
    expected: `at most ${list(limit)}`,
    found: list(compressed),
    advice:
      "Lower --target-macs, or keep weights narrower with --weights-type; a network that is small already may have nothing to gain",
  });
}

/** That a result's file is larger than what came in, in a sentence; undefined where it is not. */
export function growth(original: Costs, compressed: Costs): string | undefined {
  const more = compressed.bytes - original.bytes;
  if (more <= 0) return undefined;
  return `the file is ${shown(more)} bytes larger (${shown(compressed.bytes)}, was ${shown(original.bytes)}): structure and the record of the compression cost more than the zeros save there, and weights may have been narrower before (--weights-type)`;
}
