import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { decodeModel } from "../../src/onnx/read.js";
import { load, type Model } from "../../src/runtime/index.js";
import { addonProgram, writeAddon } from "../../support/addon.js";

let built = 0;

/** A network as an addon of Node, built for this machine and loaded; nothing of it stays on the disk. */
export async function loadAddon(model: Uint8Array): Promise<Model> {
  const directory = mkdtempSync(path.join(tmpdir(), "penni-bench-addon-"));
  try {
    built += 1;
    return await load(await writeAddon(directory, `network${built}`, addonProgram(decodeModel(model))));
  } finally {
    // The process keeps what it has mapped.
    rmSync(directory, { recursive: true, force: true });
  }
}
