import assert from "node:assert/strict";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { elementCount, float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { exportModel } from "../../src/method/export.js";
import { prunableInitializers, pruneCoefficients } from "../../src/method/prune.js";
import { layerChannels, shrink } from "../../src/method/shrink.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { upgradeOpset } from "../../src/ops/passes/upgrade_opset.js";
import { randomSource } from "../opcase.js";
import { assertAgree, outputsOf, type Tensors } from "./agreement.js";

/** Import: through bytes, to operator set 13 and simplified, verified after each pass; outputs as before. */
export async function imported(original: Graph, feeds: Tensors): Promise<Graph> {
  const expected = await outputsOf(original, feeds);
  const read = decodeModel(encodeModel(original));
  verifyTypes(read);
  const upgraded = upgradeOpset(read);
  verifyTypes(upgraded);
  if (upgraded !== read) assertAgree(expected, await outputsOf(upgraded, feeds));
  const graph = simplify(upgraded, { verify: true });
  verifyTypes(graph);
  assertAgree(expected, await outputsOf(graph, feeds));
  return graph;
}

/**
 * Shape inference for a fixed batch against the shapes that ONNX Runtime computes, for every value of the graph.
 * @returns the values of which Penni knows no static shape
 */
export async function checkShapes(graph: Graph, feeds: Tensors): Promise<readonly string[]> {
  const fixed = fixBatch(graph, batchOf(feeds));
  const { types } = inferGraph(fixed);
  const names = [...new Set(fixed.nodes.flatMap((node) => node.outputs))].filter((name) => name !== "");
  const outputs = names.map((name) => ({ name, type: undefined }));
  const computed = await outputsOf({ ...fixed, outputs }, feeds);
  return names.filter((name) => {
    const tensor = computed.get(name);
    const type = types.get(name);
    assert.ok(tensor !== undefined, name);
    if (type?.shape === undefined || type.shape.some((dim) => typeof dim !== "number")) return true;
    assert.deepEqual(type, { elementType: tensor.type, shape: tensor.dims }, `type of ${name}`);
    return false;
  });
}

export function batchOf(feeds: Tensors): number {
  const [first] = feeds.values();
  return first?.dims[0] ?? 1;
}

/** Coefficients below one standard deviation are zero; of each layer some output and some input channels altogether. */
export function pruned(graph: Graph, seed: number): Graph {
  const next = randomSource(seed);
  const { graph: thin } = pruneCoefficients(graph, { factor: 1 });
  const initializers = new Map(thin.initializers);
  for (const name of prunableInitializers(thin)) {
    const tensor = thin.initializers.get(name);
    if (tensor !== undefined) initializers.set(name, withoutChannels(tensor, next));
  }
  return { ...thin, initializers };
}

/** The share of channels that go, on either side. */
const DROPPED = 0.3;

function withoutChannels(tensor: Tensor, next: () => number): Tensor {
  const [outputs = 1, inputs = 1, ...rest] = tensor.dims;
  const dead = (count: number): boolean[] => Array.from({ length: count }, () => next() < DROPPED);
  const [deadOutputs, deadInputs] = [dead(outputs), dead(inputs)];
  const inner = elementCount(rest);
  const data = float32Data(tensor).map((value, at) => {
    const k = Math.floor(at / (inputs * inner));
    const c = Math.floor(at / inner) % inputs;
    return deadOutputs[k] === true || deadInputs[c] === true ? 0 : value;
  });
  return float32Tensor(tensor.dims, data);
}

export interface ShrunkReport {
  readonly graph: Graph;
  /** Channels of all layers' inputs and outputs, before and after. */
  readonly before: number;
  readonly after: number;
}

/** Shrinks; the outputs agree with the unshrunk graph's. */
export async function shrunk(graph: Graph, feeds: Tensors): Promise<ShrunkReport> {
  const expected = await outputsOf(graph, feeds);
  const smaller = shrink(graph);
  verifyTypes(smaller);
  assertAgree(expected, await outputsOf(smaller, feeds));
  return { graph: smaller, before: channelsOf(graph), after: channelsOf(smaller) };
}

function channelsOf(graph: Graph): number {
  return layerChannels(graph, new Map()).reduce((sum, { inputs, outputs }) => sum + inputs + outputs, 0);
}

/** Exports to the bytes of a file with sparse weights; what it computes agrees with the graph. */
export async function exported(graph: Graph, feeds: Tensors): Promise<Uint8Array> {
  const expected = await outputsOf(graph, feeds);
  const result = await exportModel(graph);
  verifyTypes(result.graph);
  assert.equal(result.layers.length, findDecompositions(graph).length, "every decomposed layer has a form");
  const bytes = encodeModel(result.graph, { sparse: true });
  assertAgree(expected, await outputsOf(bytes, feeds));
  return bytes;
}
