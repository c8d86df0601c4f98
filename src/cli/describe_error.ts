import { CommanderError } from "commander";
import { machineError } from "../files/machine_error.js";
import { messageOf, PenniError } from "../graph/errors.js";
import { terminalLine } from "../text/destinations.js";

const HELP_ADVICE = "See penni --help or penni COMMAND --help";

function oneLine(text: string): string {
  return terminalLine(text).trim();
}

/** One line for people: what happened and what to do about it. */
export function describeError(error: unknown): string {
  if (error instanceof PenniError) return oneLine(error.message);
  if (error instanceof CommanderError) {
    return `${oneLine(error.message.replace(/^error: /, "").replace(/\.$/, ""))}. ${HELP_ADVICE}`;
  }
  const known = machineError(error);
  if (known !== undefined) return known.message;
  const message = messageOf(error);
  return `unexpected error: ${oneLine(message)}. Run the command again with --verbose and report it`;
}
