import type { InferenceSession, Tensor, TensorConstructor } from "onnxruntime-common";
import type { Feeds } from "../execute/engine.js";
import { messageOf } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { encodeModel } from "../onnx/write.js";
import { type Contender, timedAsync } from "./by_turns.js";

/** What of onnxruntime-web is used. */
interface WebRuntime {
  readonly env: { readonly wasm: { numThreads?: number } };
  readonly InferenceSession: {
    create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: TensorConstructor;
}

/** Why an engine takes no part. */
export interface NoContender {
  readonly engine: string;
  readonly problem: string;
}

/** Not a dependency of Penni: it is measured where the user has it. */
const PACKAGE = "onnxruntime-web";

/** A network for one image in onnxruntime-web on one thread, or why it cannot run there. */
export async function webContender(
  engine: string,
  single: Graph,
  feeds: Feeds,
): Promise<(Contender & { release(): Promise<void> }) | NoContender> {
  const runtime = await importRuntime(PACKAGE);
  if (runtime === undefined) return { engine, problem: `${PACKAGE} is not installed` };
  try {
    runtime.env.wasm.numThreads = 1;
    const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all" } as const;
    const session = await runtime.InferenceSession.create(encodeModel(single), options);
    const own = Object.fromEntries(
      Object.entries(feeds).map(([name, { data, dims }]): [string, Tensor] => [
        name,
        new runtime.Tensor("float32", data as Float32Array, dims),
      ]),
    );
    await session.run(own);
    return { engine, sample: timedAsync(() => session.run(own)), release: () => session.release() };
  } catch (error) {
    const text = messageOf(error);
    return { engine, problem: text.split("\n")[0]?.slice(0, 200) ?? "it does not run the model" };
  }
}

/** A build of ONNX Runtime, where it is installed. */
export async function importRuntime(name: string): Promise<WebRuntime | undefined> {
  try {
    return (await import(name)) as WebRuntime;
  } catch {
    return undefined;
  }
}
