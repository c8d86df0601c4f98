import assert from "node:assert/strict";
import { runGraph } from "../../src/execute/node.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";

export type Tensors = ReadonlyMap<string, Tensor>;

/** What ONNX Runtime computes for a graph, or for the bytes of a file. */
export function outputsOf(graph: Graph | Uint8Array, feeds: Tensors): Promise<Map<string, Tensor>> {
  return runGraph(graph, feeds, { threads: 1 });
}

/**
 * |actual - expected| <= 1e-4 · max(1, largest |expected|) + 1e-3 · |expected| for every element of every float32
 * output: float32 sums in another order, and nothing else. Other outputs agree exactly.
 * @returns the largest difference, relative to max(1, largest |expected|)
 */
export function assertAgree(expected: Tensors, actual: Tensors): number {
  assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].sort(), "names of the outputs");
  let largest = 0;
  for (const [name, want] of expected) {
    const got = actual.get(name);
    assert.ok(got !== undefined, name);
    assert.deepEqual(got.dims, want.dims, `dimensions of ${name}`);
    if (want.type === "float32") largest = Math.max(largest, difference(name, want, got));
    else assert.deepEqual(got.bytes, want.bytes, `elements of ${name}`);
  }
  return largest;
}

function difference(name: string, want: Tensor, got: Tensor): number {
  const wanted = float32Data(want);
  const found = float32Data(got);
  const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  let largest = 0;
  for (const [at, value] of wanted.entries()) {
    const distance = Math.abs(value - (found[at] ?? Number.NaN));
    if (!(distance <= 1e-4 * scale + 1e-3 * Math.abs(value)))
      assert.fail(`${name}[${at}]: ${value} became ${found[at]}`);
    largest = Math.max(largest, distance / scale);
  }
  return largest;
}

/** Largest |difference| of two arrays relative to the norm of the first; 0 where both are zero throughout. */
export function relativeError(want: Float32Array, got: Float32Array): number {
  let error = 0;
  let norm = 0;
  want.forEach((value, at) => {
    error += (value - (got[at] ?? Number.NaN)) ** 2;
    norm += value ** 2;
  });
  return error === 0 ? 0 : Math.sqrt(error / Math.max(norm, Number.MIN_VALUE));
}
