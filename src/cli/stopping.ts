import { PenniError } from "../graph/errors.js";

/** Signals by which people and systems ask a program to end, and its exit status then: 128 and the signal's number. */
const stopStatus = { SIGINT: 130, SIGTERM: 143 } as const;

export type StopSignal = keyof typeof stopStatus;

const stopSignals = Object.keys(stopStatus) as readonly StopSignal[];

/** Work that ended early because a signal asked for that. */
export class StoppedError extends PenniError {
  /** The program's exit status. */
  readonly status: number;

  constructor({ code, problem, details, cause }: PenniError, signal: StopSignal) {
    super(code, problem, details, { cause });
    this.status = stopStatus[signal];
  }
}

/**
 * Calls `handle` in place of what these signals do by themselves, as long as the function that is returned was not called.
 */
export function onStop(handle: (signal: StopSignal) => void): () => void {
  for (const signal of stopSignals) process.on(signal, handle);
  return () => {
    for (const signal of stopSignals) process.off(signal, handle);
  };
}

/** For what a process that was asked to end still has to say. */
const LAST_WORDS_MS = 3000;

/**
 * Ends the process soon, with the error's status, if it does not end by itself: connections to a server that is away may try
 * on for ever. Only where a signal has asked for the end.
 */
export function endSoon({ status }: StoppedError): void {
  setTimeout(() => process.exit(status), LAST_WORDS_MS).unref();
}

/** Ends the process as the signal would have. */
export function exitAfter(signal: StopSignal): never {
  process.exit(stopStatus[signal]);
}
