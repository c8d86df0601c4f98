import { CommanderError } from "commander";
import { machineError } from "../files/machine_error.js";
import { type ErrorCode, type ErrorDetails, messageOf, PenniError } from "../graph/errors.js";
import { terminalLine } from "../text/destinations.js";

/** What programs get of an error in place of a result, under "error". */
export interface ErrorRecord extends ErrorDetails {
  readonly code: ErrorCode;
  /** The line that people get. */
  readonly message: string;
}

function oneLine(text: string): string {
  return terminalLine(text).trim();
}

/**
 * One line for people: what happened and what to do about it.
 * @param command that was given, if it is known
 */
export function describeError(error: unknown, command?: string): string {
  return errorRecord(error, command).message;
}

/**
 * The same for programs, with what is known of it in fields.
 * @param command that was given, if it is known
 */
export function errorRecord(error: unknown, command?: string): ErrorRecord {
  const own = error instanceof PenniError ? error : machineError(error);
  if (own !== undefined) return { code: own.code, message: oneLine(own.message), ...own.details };
  if (error instanceof CommanderError) {
    const said = oneLine(error.message.replace(/^error: /, "").replace(/\.$/, ""));
    const help = command === undefined ? "penni --help" : `penni ${command} --help`;
    return { code: "bad-option", message: `${said}. See ${help}` };
  }
  const message = `unexpected error: ${oneLine(messageOf(error))}. Run the command again with --verbose and report it`;
  return { code: "internal", message };
}
