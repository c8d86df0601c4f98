import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { InferenceSession } from "onnxruntime-node";
import { readModel } from "../../src/files/model_files.js";
import { countOf } from "../../src/graph/at.js";

/** How many operators of each kind ONNX Runtime really runs, from the graph that it has made of a model. */
export async function operatorsRun(model: Uint8Array): Promise<ReadonlyMap<string, number>> {
  const directory = mkdtempSync(path.join(tmpdir(), "penni-fused-"));
  try {
    const optimizedModelFilePath = path.join(directory, "optimized.onnx");
    // "extended" fuses as "all" does; the rest is layouts of this machine, which a file does not keep.
    const options = {
      graphOptimizationLevel: "extended",
      optimizedModelFilePath,
      logSeverityLevel: 4,
    } as const;
    const session = await InferenceSession.create(model, options);
    await session.release();
    const counts = new Map<string, number>();
    for (const { op } of (await readModel(optimizedModelFilePath)).nodes)
      counts.set(op, countOf(counts, op) + 1);
    return counts;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
