import { PenniError } from "../../graph/errors.js";
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

/**
 * Refuses a result that costs more than what came in, in any respect.
 * @param compressed as found, or the least that is possible for those that are known beforehand
 * @throws PenniError "bad-option"
 */
export function refuseLarger(original: Costs, compressed: Partial<Costs>): void {
  const larger = keys.filter((key) => (compressed[key] ?? 0) > original[key]);
  if (larger.length === 0) return;
  const list = (costs: Partial<Costs>): string =>
    larger.map((key) => `${shown(costs[key] ?? 0)} ${names[key]}`).join(", ");
  throw new PenniError("bad-option", "the result would be larger than what came in", {
    expected: `at most ${list(original)}`,
    found: list(compressed),
    advice: "Lower --target-macs; a network that is small already may have nothing to gain",
  });
}
