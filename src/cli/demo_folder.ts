import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { ioError, writeFileAtomic } from "../files/atomic.js";
import { checkDirectoryPath } from "../files/directories.js";
import { PenniError } from "../graph/errors.js";
import type { RunLock } from "../run/lock.js";

/** Present in every directory that the demo made, and in no other. */
const MARKER = "penni-demo.json";

/** Everything that the demo puts into its directory. */
export interface DemoFolder {
  readonly root: string;
  /** The trained network. */
  readonly original: string;
  /** Initial weights and checkpoints of its training. */
  readonly training: string;
  /** Run directory of the compression. */
  readonly compression: string;
  /** To be released when the demo is over. */
  readonly lock: RunLock;
}

/**
 * Makes a directory ready for the demo: creates it, or clears out what an earlier demo left in it. Other files
 * that somebody keeps there stay.
 * @throws PenniError "io" if it holds anything but an earlier demo, if a demo is running there, or if it cannot be
 *   written
 */
export async function claimDemoFolder(root: string): Promise<DemoFolder> {
  const places = {
    root,
    original: path.join(root, "original.onnx"),
    training: path.join(root, "training"),
    compression: path.join(root, "compression"),
  };
  const { isLockFile, RunLock } = await import("../run/lock.js");
  let lock: RunLock | undefined;
  checkDirectoryPath(root);
  try {
    await mkdir(root, { recursive: true });
    const entries = (await readdir(root)).filter((name) => !isLockFile(name));
    if (entries.length > 0 && !entries.includes(MARKER)) throw occupied(root);
    lock = await RunLock.acquire(root);
    const made = [places.original, places.training, places.compression];
    for (const entry of made) await rm(entry, { recursive: true, force: true });
    await writeFileAtomic(path.join(root, MARKER), `${JSON.stringify({ madeBy: "penni demo" })}\n`);
    await mkdir(places.training);
    return { ...places, lock };
  } catch (error) {
    await lock?.release();
    throw ioError(root, "cannot prepare the demo's directory", error);
  }
}

function occupied(root: string): PenniError {
  return new PenniError("io", "this directory is not empty and holds no earlier demo", {
    file: root,
    expected: `a new or empty directory, or one with ${MARKER}`,
    advice: "Choose another one with -o",
  });
}
