import type { Engine } from "./engine.js";
import { engineOf, type Runtime, WEBGPU } from "./runtime.js";

/**
 * ONNX Runtime for the web: the CPU is its WebAssembly build.
 * @param runtime the module "onnxruntime-web/webgpu", which the page loads itself
 */
export function webEngine({
  InferenceSession,
  Tensor,
}: Pick<Runtime, "InferenceSession" | "Tensor">): Engine {
  const runtime = { InferenceSession, Tensor, writesOutputs: false, copiesWritten: false };
  return engineOf(runtime, { cpu: "wasm", webgpu: WEBGPU });
}
