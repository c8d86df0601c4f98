import type { ErrorCode, ErrorDetails } from "../graph/errors.js";
import { type PictureRequest, readPicture } from "./decode_picture.js";

/** What a thread works on, beside others. */
export interface PictureThread {
  readonly request: PictureRequest;
  /** Shared: the number of pictures that are taken. */
  readonly next: Int32Array<SharedArrayBuffer>;
}

/** An error that people are told, as it goes between threads. */
export interface ThreadFailure {
  readonly code: ErrorCode;
  readonly problem: string;
  readonly details: ErrorDetails;
}

/** Pictures that a thread decodes at once: one is read or decoded while another is resized. */
const AT_ONCE = 2;

/** Reads pictures until none is left that nobody has taken; `next` counts those that are taken. */
export async function readShare({ request, next }: PictureThread): Promise<void> {
  const work = async (): Promise<void> => {
    for (let index = Atomics.add(next, 0, 1); index < request.files.length; index = Atomics.add(next, 0, 1))
      await readPicture(request, index);
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } catch (error) {
    // The others need not go on.
    Atomics.store(next, 0, request.files.length);
    throw error;
  }
}
