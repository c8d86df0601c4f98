import { parentPort, workerData } from "node:worker_threads";
import { PenniError } from "../graph/errors.js";
import { type PictureThread, readShare, type ThreadFailure } from "./read_share.js";

// The other end of `readPictures`. Paths that are bytes have lost their class on the way.
const { request, next }: PictureThread = workerData;
const files = request.files.map((file) => (typeof file === "string" ? file : Buffer.from(file)));
try {
  await readShare({ request: { ...request, files }, next });
} catch (error) {
  if (!(error instanceof PenniError)) throw error;
  const { code, problem, details } = error;
  const failure: ThreadFailure = { code, problem, details };
  parentPort?.postMessage(failure);
}
