import os from "node:os";
import { Worker } from "node:worker_threads";
import { at } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { PictureRequest } from "./decode_picture.js";
import { someNames } from "./messages.js";
import { shownPath } from "./paths.js";
import { MOST_FAILURES, type PictureFailure, type PictureThread, readShare } from "./read_share.js";

/** Starting a thread takes as long as reading some twenty pictures. */
const PICTURES_PER_THREAD = 64;

/**
 * Reads all pictures into their places, on as many threads as there are processors where there are many pictures:
 * decoding them is the library's and runs beside, but resizing is ours and would keep one processor busy alone.
 * @throws PenniError "bad-data" naming a file that cannot be read, and others if there are such
 */
export async function readPictures(request: PictureRequest): Promise<void> {
  const threads = Math.min(os.availableParallelism(), Math.floor(request.files.length / PICTURES_PER_THREAD));
  const next = new Int32Array(new SharedArrayBuffer(4));
  const found =
    threads < 2
      ? [await readShare({ request, next })]
      : await Promise.all(Array.from({ length: threads }, () => onThread({ request, next })));
  const wasCut = found.some(({ length }) => length >= MOST_FAILURES);
  const [first, ...others] = found.flat().sort((a, b) => a.index - b.index);
  if (first !== undefined) throw unreadable(first, others, request, wasCut);
}

/** @param wasCut whether there may be more that nobody has looked at */
function unreadable(
  { code, problem, details }: PictureFailure,
  others: readonly PictureFailure[],
  { files }: PictureRequest,
  wasCut: boolean,
): PenniError {
  if (others.length === 0) return new PenniError(code, problem, details);
  const names = someNames(others.map(({ index }) => shownPath(at(files, index))));
  const count = `${wasCut ? "at least " : ""}${others.length}`;
  const advice = `Replace or remove the file, and ${count} more that cannot be read: ${names}.`;
  return new PenniError(code, problem, { ...details, advice });
}

function onThread(thread: PictureThread): Promise<readonly PictureFailure[]> {
  return new Promise((resolve, reject) => {
    // Without execArgv the worker inherits options such as --input-type, which it cannot start with.
    const options = { workerData: thread, execArgv: [] };
    const worker = new Worker(new URL("./picture_worker.js", import.meta.url), options);
    worker.on("message", resolve);
    worker.on("error", reject);
    // Nothing happens then where the worker has said what it found.
    worker.on("exit", (code) => {
      reject(new PenniError("internal", "a thread that reads pictures has stopped", { found: `${code}` }));
    });
  });
}
