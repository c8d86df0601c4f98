import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Bytes of arrays from which a collection, some tens of milliseconds, is worth its time. */
const LARGE = 2 ** 26;
/** And how many times as many as the last one has left. */
const GROWN = 1.5;

let collect: (() => void) | undefined = globalThis.gc;

/**
 * Gives back what nobody holds any more. Networks are megabytes outside of JavaScript's heap, and little else asks for
 * a collection: a process that only waits keeps them for hours.
 */
export function collectGarbage(): void {
  collect ??= exposed();
  collect();
}

/** Does so where arrays, held or not, take much memory. */
export function collectLargeGarbage(): void {
  if (arrayBytes() >= LARGE) collectGarbage();
}

let left = 0;

/** Does so where arrays take much more memory than this has left when it was called before: for what is done often. */
export function collectGrownGarbage(): void {
  if (arrayBytes() < GROWN * left) return;
  collectLargeGarbage();
  left = arrayBytes();
}

const arrayBytes = (): number => process.memoryUsage().arrayBuffers;

/** What `node --expose-gc` has from the start. */
function exposed(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
}
