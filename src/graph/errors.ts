import { terminalLine } from "../text/destinations.js";

/** Where an error happened and what to do about it; every part that is known is printed. */
export interface ErrorDetails {
  readonly file?: string;
  readonly node?: string;
  readonly op?: string;
  readonly expected?: string;
  readonly found?: string;
  readonly advice?: string;
}

/** What kind of trouble: programs branch on it, people read the message. */
export type ErrorCode =
  | "bad-file"
  | "bad-model"
  | "unsupported"
  | "shape"
  | "bad-data"
  | "bad-option"
  | "io"
  | "memory"
  | "training"
  | "diverged"
  | "interrupted"
  | "over-budget"
  | "internal";

const LONGEST_MESSAGE = 1500;

/**
 * The one error type that Penni throws on purpose. Its message is a single line that names file, node and
 * operator, what was expected and what was found, and what to do next, as far as each is known.
 */
export class PenniError extends Error {
  readonly code: ErrorCode;
  readonly problem: string;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, problem: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(oneLine(composeMessage(problem, details)), options);
    this.name = "PenniError";
    this.code = code;
    this.problem = problem;
    this.details = details;
  }

  /** The same error with more context; details that are already known win. */
  within(details: ErrorDetails): PenniError {
    return new PenniError(this.code, this.problem, { ...details, ...this.details }, { cause: this });
  }
}

/** What anything that was thrown says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Names come from files: control characters would break the line or the terminal, and length would flood it. */
function oneLine(message: string): string {
  const line = terminalLine(message);
  return line.length > LONGEST_MESSAGE ? `${line.slice(0, LONGEST_MESSAGE)}...` : line;
}

function composeMessage(problem: string, details: ErrorDetails): string {
  const where = [
    details.file,
    details.node === undefined
      ? details.op
      : `node "${details.node}"${details.op === undefined ? "" : ` (${details.op})`}`,
  ].filter((part) => part !== undefined && part !== "");
  const contrast = [
    details.expected === undefined ? undefined : `expected ${details.expected}`,
    details.found === undefined ? undefined : `found ${details.found}`,
  ].filter((part) => part !== undefined);
  const head = [...where, problem].join(": ");
  const body = contrast.length === 0 ? head : `${head}: ${contrast.join(", ")}`;
  if (details.advice === undefined) return body;
  // What others have said (a server, the system) may end with its own.
  const stop = /[.!?]$/.test(body) ? "" : ".";
  return `${body}${stop} ${details.advice}`;
}
