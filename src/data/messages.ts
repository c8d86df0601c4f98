import { PenniError } from "../graph/errors.js";

/** An error about a file or folder of a dataset. */
export function badData(
  file: string,
  problem: string,
  details: { expected?: string; found?: string; advice?: string } = {},
  cause?: unknown,
): PenniError {
  return new PenniError("bad-data", problem, { file, ...details }, { cause });
}

/** Characters of a name that a message shows. */
const LONGEST_NAME = 100;

/** A name for a message, which nobody could read if the name filled it. */
export function shownName(name: string): string {
  return name.length <= LONGEST_NAME ? name : `${name.slice(0, LONGEST_NAME)}...`;
}

/** At most ten names, for a message. */
export function someNames(names: readonly string[]): string {
  if (names.length === 0) return "nothing";
  const shown = names.slice(0, 10).map(shownName).join(", ");
  return names.length <= 10 ? shown : `${shown} and ${names.length - 10} more`;
}
