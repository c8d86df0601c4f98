import { PenniError } from "../graph/errors.js";

/** Told how far a pass over images is. */
export interface ImagesListener {
  images?(what: string, done: number, total: number): void;
}

/**
 * Tells the listener of images, and ends the pass as soon as the signal is aborted.
 * @throws PenniError "interrupted"
 */
export function tellImages(
  { listener, signal }: { readonly listener: ImagesListener; readonly signal: AbortSignal | undefined },
  what: string,
  done: number,
  total: number,
): void {
  if (signal?.aborted === true) throw new PenniError("interrupted", "stopped while measuring");
  listener.images?.(what, done, total);
}
