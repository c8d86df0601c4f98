import { CommanderError } from "commander";
import { machineError } from "../files/machine_error.js";
import { messageOf, PenniError } from "../graph/errors.js";
import { terminalLine } from "../text/destinations.js";

function oneLine(text: string): string {
  return terminalLine(text).trim();
}

/**
 * One line for people: what happened and what to do about it.
 * @param command that was given, if it is known
 */
export function describeError(error: unknown, command?: string): string {
  if (error instanceof PenniError) return oneLine(error.message);
  if (error instanceof CommanderError) {
    return `${oneLine(error.message.replace(/^error: /, "").replace(/\.$/, ""))}. See ${command === undefined ? "penni --help" : `penni ${command} --help`}`;
  }
  const known = machineError(error);
  if (known !== undefined) return known.message;
  const message = messageOf(error);
  return `unexpected error: ${oneLine(message)}. Run the command again with --verbose and report it`;
}
