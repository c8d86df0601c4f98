import type { Command } from "commander";
import { PenniError } from "../graph/errors.js";

/** An option of a call that would be passed over in silence. */
export interface ExtraOption {
  /** As it is typed. */
  readonly name: string;
  readonly isExtra: boolean;
  /** What it is an option for. */
  readonly expected: string;
}

/** @throws PenniError "bad-option" naming the first option that changes nothing in this call */
export function refuseExtra(options: readonly ExtraOption[]): void {
  const extra = options.find(({ isExtra }) => isExtra);
  if (extra === undefined) return;
  throw new PenniError("bad-option", `${extra.name} has nothing to say here`, { expected: extra.expected });
}

/** Whether an option stands in the call, and is not the default. @param name of its value, as externalData */
export function isGiven(command: Pick<Command, "getOptionValueSource">, name: string): boolean {
  return command.getOptionValueSource(name) === "cli";
}

/** An option beside others that leave it nothing to do. */
export function contradiction(option: string, expected: string, found: string): PenniError {
  return new PenniError("bad-option", `${option} has nothing to change here`, { expected, found });
}
