import os from "node:os";
import { Worker } from "node:worker_threads";
import { PenniError } from "../graph/errors.js";
import type { PictureRequest } from "./decode_picture.js";
import { type PictureThread, readShare, type ThreadFailure } from "./read_share.js";

/** Starting a thread takes as long as reading some twenty pictures. */
const PICTURES_PER_THREAD = 64;

/**
 * Reads all pictures into their places, on as many threads as there are processors where there are many pictures:
 * decoding them is the library's and runs beside, but resizing is ours and would keep one processor busy alone.
 * @throws PenniError "bad-data" naming a file
 */
export async function readPictures(request: PictureRequest): Promise<void> {
  const threads = Math.min(os.availableParallelism(), Math.floor(request.files.length / PICTURES_PER_THREAD));
  const next = new Int32Array(new SharedArrayBuffer(4));
  if (threads < 2) await readShare({ request, next });
  else await Promise.all(Array.from({ length: threads }, () => onThread({ request, next })));
}

function onThread(thread: PictureThread): Promise<void> {
  return new Promise((resolve, reject) => {
    // Without execArgv the worker inherits options such as --input-type, which it cannot start with.
    const options = { workerData: thread, execArgv: [] };
    const worker = new Worker(new URL("./picture_worker.js", import.meta.url), options);
    worker.on("message", ({ code, problem, details }: ThreadFailure) => {
      reject(new PenniError(code, problem, details));
    });
    worker.on("error", reject);
    worker.on("exit", (code) => {
      if (code === 0) resolve();
      else
        reject(new PenniError("internal", "a thread that reads pictures has stopped", { found: `${code}` }));
    });
  });
}
