import { describeInspection } from "../../src/cli/inspect_text.js";
import { inspectedFractions } from "../../src/cli/verdict_text.js";
import { loadBackend, targetNames } from "../../src/compile/backends.js";
import { cName } from "../../src/compile/c/names.js";
import { compileProgram } from "../../src/compile/compile.js";
import { summarizeProgram } from "../../src/compile/summary.js";
import { verifyProgram } from "../../src/compile/verify/program.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../src/graph/types.js";
import { countGraph } from "../../src/measure/count.js";
import { withRuntimeShapes } from "../../src/measure/runtime_shapes.js";
import { decompose } from "../../src/method/decompose.js";
import { exportModel } from "../../src/method/export.js";
import { importForCompression } from "../../src/method/import_for_compression.js";
import { inspectGraph } from "../../src/method/inspect.js";
import { modelRemarks } from "../../src/method/remarks.js";
import { reportShrink } from "../../src/method/shrink/report.js";
import { verdictOn } from "../../src/method/verdict.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { dequantize } from "../../src/ops/passes/dequantize.js";

/** Runs a stage and notes what it cost. */
export type Timer = <Result>(stage: string, run: () => Result | Promise<Result>) => Promise<Result>;

/** Everything that the command line does with a graph on its own. */
export async function runStages(given: Graph, time: Timer): Promise<void> {
  const bytes = await time("write", () => encodeModel(given));
  const read = await time("read", () => decodeModel(bytes));
  await time("verify", () => verifyTypes(read));
  const { graph: shaped } = await time("shapes by running", () => withRuntimeShapes(read));
  const graph = await time("import", () => importForCompression(fixBatch(shaped, 1)));
  // A copy: what is inferred of the same graph is remembered.
  await time("infer", () => inferGraph({ ...graph }));
  await time("count", () => countGraph(graph));
  const inspection = await time("inspect", () => inspectGraph(graph));
  const remarks = await time("remarks", () => modelRemarks(read, graph));
  const verdict = await time("verdict", () =>
    verdictOn(graph, inspection, { bytes: bytes.byteLength, half: false }, { fractions: inspectedFractions }),
  );
  await time("inspect text", () => describeInspection({ ...inspection, remarks, verdict }, 100));
  await time("shrink report", () => reportShrink(graph));
  await time("dequantize", () => dequantize(graph));
  const decomposed = await time("decompose", () => decompose(graph, { basis: 2 }));
  await time("export", () => exportModel(decomposed));
  for (const name of targetNames) {
    const backend = await loadBackend(name);
    const program = await time(`compile ${name}`, () => compileProgram(read, backend.target));
    await time(`summary ${name}`, () => summarizeProgram(program));
    await time(`verify ${name}`, () => verifyProgram(program, backend.target.width));
    await time(`${name} files`, () => backend.emit(program, { name: cName("growth") }));
  }
}
