import type { Engine } from "./engine.js";
import { engineOf, type Runtime, WEBGPU } from "./runtime.js";

/**
 * ONNX Runtime for the web: the CPU is its WebAssembly build.
 * @param runtime the module "onnxruntime-web/webgpu", which the page loads itself
 */
export function webEngine({ InferenceSession, Tensor }: Omit<Runtime, "writesOutputs">): Engine {
  return engineOf({ InferenceSession, Tensor, writesOutputs: false }, { cpu: "wasm", webgpu: WEBGPU });
}
