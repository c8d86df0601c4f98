import type { InferenceSession, Tensor } from "onnxruntime-common";
import { type Contender, timed, timedAsync } from "../../src/measure/by_turns.js";
import { load } from "../../src/runtime/index.js";

/** What of ONNX Runtime is needed, whichever build it is. */
export interface Runtime {
  readonly InferenceSession: {
    create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => Tensor;
}

/** Our module, as it comes from `penni compile --target wasm`. */
export async function penniContender(engine: string, module: Uint8Array): Promise<Contender> {
  const model = await load(module);
  const dims = model.inputs[0]?.dims ?? [];
  const image = sampleImage(dims);
  return { engine, sample: timed(() => model.run(image)) };
}

/** ONNX Runtime on one thread. */
export async function runtimeContender(
  engine: string,
  runtime: Runtime,
  model: Uint8Array,
  dims: readonly number[],
): Promise<Contender> {
  const session = await runtime.InferenceSession.create(model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
  });
  const [input = ""] = session.inputNames;
  const feeds = { [input]: new runtime.Tensor("float32", sampleImage(dims), dims) };
  return { engine, sample: timedAsync(() => session.run(feeds)) };
}

export function sampleImage(dims: readonly number[]): Float32Array {
  return Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, (_, i) =>
    Math.sin(i),
  );
}
