import { percent } from "../../../src/report/format.js";

/** From here on only that it is large is worth saying: outputs that hardly differ between inputs make any error so. */
const LARGE = 10;

/** An error of the output, in units of its deviation from input to input. */
export function errorText(error: number): string {
  if (error > LARGE) return `over ${percent(LARGE, 0)}`;
  return percent(error, error < 0.1 ? 1 : 0);
}

/** What an error so large may mean, for people; nothing for others. */
export function errorNote(error: number | undefined): string {
  return error !== undefined && error > LARGE
    ? "; the original's output hardly differs between these inputs: choose pictures such as it was made for"
    : "";
}
