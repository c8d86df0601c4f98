import assert from "node:assert/strict";
import { test } from "node:test";
import { describeInspection } from "../../src/cli/inspect_text.js";
import { inspectedFractions } from "../../src/cli/verdict_text.js";
import { planMemory } from "../../src/compile/memory_plan.js";
import type { Buffer, Step } from "../../src/compile/program.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../src/graph/types.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { decompose } from "../../src/method/decompose.js";
import { exportModel } from "../../src/method/export.js";
import { inspectGraph } from "../../src/method/inspect.js";
import { modelRemarks } from "../../src/method/remarks.js";
import { verdictOn } from "../../src/method/verdict.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { buildStructure } from "../../support/growth_structures.js";
import { randomSource } from "../../support/opcase.js";

// Sizes at which whatever looks at all nodes for each node, or calls itself for each, does not come to its end.
// `npm run bench:growth` measures.

function inspected(graph: Graph): string {
  const read = decodeModel(encodeModel(graph));
  const imported = importModel(fixBatch(read, 1));
  const inspection = inspectGraph(imported);
  const verdict = verdictOn(
    imported,
    inspection,
    { bytes: 0, half: false },
    { fractions: inspectedFractions },
  );
  return describeInspection({ ...inspection, remarks: modelRemarks(read, imported), verdict }, 100);
}

test("100,000 activations in a row are inspected", () => {
  assert.match(inspected(buildStructure("activations in a row", 100_000)), /no convolution/);
});

test("20,000 outputs beside each other are inspected", () => {
  assert.match(inspected(buildStructure("parallel convolutions as outputs", 20_000)), /19996\s+more/);
});

test("8,000 convolutions are decomposed and exported", async () => {
  const decomposed = decompose(buildStructure("convolutions in a row", 8000), { basis: 2 });
  assert.equal(findDecompositions(decomposed).length, 8000);
  const { layers, graph } = await exportModel(decomposed);
  assert.deepEqual(
    [layers.length, new Set(graph.nodes.map(({ name }) => name)).size],
    [8000, graph.nodes.length],
  );
});

test("buffers by the thousand have places of their own for as long as they live", () => {
  const next = randomSource(5);
  const count = 12_000;
  const calls: Buffer[][] = Array.from({ length: count }, () => []);
  for (let id = 0; id < count; id++) {
    const buffer: Buffer = { kind: "value", id, size: 1 + Math.floor(300 * next()) };
    const last = Math.min(count - 1, id + Math.floor(40 * next()));
    for (const step of new Set([id, last])) calls[step]?.push(buffer);
  }
  const kernel = { name: "none", comment: "", parameters: [], body: [] };
  const steps = calls.map(
    (buffers): Step => ({
      kernel,
      arguments: buffers.map((buffer) => ({ buffer, offset: 0 })),
      node: "",
      op: "",
      multiplyAccumulates: 0,
    }),
  );
  const { size, offsets } = planMemory({ steps });
  const lastUse = new Map(calls.flatMap((buffers, at) => buffers.map(({ id }) => [id, at] as const)));
  let alive: Buffer[] = [];
  let most = 0;
  calls.forEach((buffers, at) => {
    alive = [...new Set([...alive, ...buffers])];
    const places = alive
      .map((buffer) => ({ from: offsets.get(buffer.id) ?? Number.NaN, size: buffer.size }))
      .sort((a, b) => a.from - b.from);
    places.forEach(({ from, size: length }, place) => {
      assert.ok(from + length <= (places[place + 1]?.from ?? size), `step ${at}`);
    });
    most = Math.max(
      most,
      places.reduce((sum, each) => sum + each.size, 0),
    );
    alive = alive.filter(({ id }) => (lastUse.get(id) ?? 0) > at);
  });
  // Sizes are rounded up to powers of two, and each class has places for its own peak.
  assert.ok(size <= 4 * most, `${size} for ${most}`);
});
