import { parentPort, workerData } from "node:worker_threads";
import { type PictureThread, readShare } from "./read_share.js";

// The other end of `readPictures`. Paths that are bytes have lost their class on the way.
const { request, next }: PictureThread = workerData;
const files = request.files.map((file) => (typeof file === "string" ? file : Buffer.from(file)));
parentPort?.postMessage(await readShare({ request: { ...request, files }, next }));
