import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** The builds of ONNX Runtime whose memory is measured, by their packages. */
export type RuntimePackage = "onnxruntime-node" | "onnxruntime-web";

/**
 * Bytes by which a process of its own grows that loads a model in ONNX Runtime and runs it once on one image; undefined
 * where it cannot run there.
 * @param model an .onnx file's bytes; batch 1, inputs float32
 */
export async function runtimeMemory(runtime: RuntimePackage, model: Uint8Array): Promise<number | undefined> {
  const directory = await mkdtemp(path.join(tmpdir(), "penni-memory-"));
  try {
    const file = path.join(directory, "model.onnx");
    await writeFile(file, model);
    const side = fileURLToPath(new URL("memory_side.js", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", side, runtime, file]);
    const bytes = Number(stdout);
    return Number.isFinite(bytes) ? bytes : undefined;
  } catch {
    return undefined;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
