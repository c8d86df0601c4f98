import { type ErrorCode, type ErrorDetails, PenniError } from "../graph/errors.js";
import { type PictureRequest, readPicture } from "./decode_picture.js";

/** What a thread works on, beside others. */
export interface PictureThread {
  readonly request: PictureRequest;
  /** Shared: the number of pictures that are taken. */
  readonly next: Int32Array<SharedArrayBuffer>;
}

/** A picture that cannot be read, and why, as it goes between threads. */
export interface PictureFailure {
  /** Of the file among those of the request. */
  readonly index: number;
  readonly code: ErrorCode;
  readonly problem: string;
  readonly details: ErrorDetails;
}

/** Pictures that a thread decodes at once: one is read or decoded while another is resized. */
const AT_ONCE = 2;
/** After so many that cannot be read a thread looks for no more: these are no pictures. */
export const MOST_FAILURES = 50;

/**
 * Reads pictures until none is left that nobody has taken; `next` counts those that are taken. Goes on behind those that
 * cannot be read, so that people are told of all of them at once.
 * @returns those that cannot be read, in no order
 */
export async function readShare({ request, next }: PictureThread): Promise<readonly PictureFailure[]> {
  const failures: PictureFailure[] = [];
  const noMore = (): void => {
    Atomics.store(next, 0, request.files.length);
  };
  const read = async (index: number): Promise<void> => {
    try {
      await readPicture(request, index);
    } catch (error) {
      if (!(error instanceof PenniError)) throw error;
      const { code, problem, details } = error;
      if (failures.push({ index, code, problem, details }) >= MOST_FAILURES) noMore();
    }
  };
  const work = async (): Promise<void> => {
    for (let index = Atomics.add(next, 0, 1); index < request.files.length; index = Atomics.add(next, 0, 1))
      await read(index);
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } catch (error) {
    noMore();
    throw error;
  }
  return failures;
}
