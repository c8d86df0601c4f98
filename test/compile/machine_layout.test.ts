import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { InferenceSession } from "onnxruntime-node";
import { compileToWasm } from "../../src/compile/index.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { conv, node, randomTensor, smallGraph } from "../../support/small_models.js";
import "./self_checked.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-machine-layout-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("a file that ONNX Runtime saved for one machine is refused with the way to one that is not", async (t) => {
  const graph = smallGraph(
    [1, 3, 8, 8],
    [
      conv({ name: "c", input: "x", weight: "w", kernel: 3 }),
      node("Relu", ["c"], "r"),
      conv({ name: "y", input: "r", weight: "v", kernel: 3 }),
    ],
    { w: randomTensor([32, 3, 3, 3], 1), v: randomTensor([32, 32, 3, 3], 2) },
  );
  const file = path.join(folder, "all.onnx");
  const session = await InferenceSession.create(encodeModel(graph), {
    graphOptimizationLevel: "all",
    optimizedModelFilePath: file,
    logSeverityLevel: 4,
  });
  await session.release();
  const saved = decodeModel(new Uint8Array(readFileSync(file)));
  if (!saved.nodes.some(({ domain }) => domain === "com.microsoft.nchwc")) {
    t.skip("ONNX Runtime has no layout of its own for this machine");
    return;
  }
  assert.throws(() => compileToWasm(saved), /saved this file.*for one machine.*ORT_ENABLE_EXTENDED/);
});
