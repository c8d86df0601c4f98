import { env, InferenceSession, Tensor as NodeTensor } from "onnxruntime-node";
import type { Graph, Tensor } from "../graph/types.js";
import { runGraphOn, type Session, type SessionOptions } from "./engine.js";
import { engineOf, WEBGPU } from "./runtime.js";

/** ONNX Runtime for Node. */
export const nodeEngine = engineOf(
  { InferenceSession, Tensor: NodeTensor, writesOutputs: true, copiesWritten: true },
  { cpu: "cpu", webgpu: WEBGPU, cuda: "cuda" },
);

/**
 * Loads a graph, or the bytes of an .onnx file, into ONNX Runtime for Node.
 * @throws PenniError "bad-model" if the runtime refuses it. Whether a provider other than the CPU is usable at
 *   all is `resolveDevice`'s to say, before.
 */
export function openSession(graph: Graph | Uint8Array, options: SessionOptions = {}): Promise<Session> {
  env.logLevel = "fatal";
  return nodeEngine.openSession(graph, options);
}

/** Runs a graph once on ONNX Runtime for Node: values by input name in, all outputs out. */
export function runGraph(
  graph: Graph | Uint8Array,
  feeds: ReadonlyMap<string, Tensor>,
  options: SessionOptions = {},
): Promise<Map<string, Tensor>> {
  return runGraphOn({ openSession }, graph, feeds, options);
}
