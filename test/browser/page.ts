/** Runs in a browser (see webgpu.test.ts): trains a case on each provider that the browser has. */
import * as ort from "onnxruntime-web/webgpu";
import type { Provider } from "../../src/execute/device.js";
import { webEngine } from "../../src/execute/web.js";
import { type TrainingCase, type TrainingOutcome, trainCase } from "../../support/device_training.js";

/** Of a provider: what it computed, or why not. */
export type PageResult =
  | { readonly kind: "trained"; readonly outcome: TrainingOutcome }
  | { readonly kind: "no adapter" }
  | { readonly kind: "failed"; readonly reason: string };

export type PageAnswer = Readonly<Partial<Record<Provider, PageResult>>>;

/** The part of a browser that is used; the project compiles without the browser's types. */
interface Browser {
  readonly navigator: { readonly gpu?: { requestAdapter(): Promise<object | null> } };
}

async function trainOn(provider: Provider, trainingCase: TrainingCase): Promise<PageResult> {
  try {
    if (provider === "webgpu") {
      const adapter = await (globalThis as unknown as Browser).navigator.gpu?.requestAdapter();
      if (adapter === null || adapter === undefined) return { kind: "no adapter" };
    }
    return { kind: "trained", outcome: await trainCase(webEngine(ort), provider, trainingCase) };
  } catch (error) {
    return { kind: "failed", reason: error instanceof Error ? `${error.stack}` : String(error) };
  }
}

const trainingCase = (await (await fetch("/exchange")).json()) as TrainingCase;
ort.env.logLevel = "fatal";
ort.env.wasm.numThreads = 1;
const answer: PageAnswer = {
  cpu: await trainOn("cpu", trainingCase),
  webgpu: await trainOn("webgpu", trainingCase),
};
await fetch("/exchange", { method: "POST", body: JSON.stringify(answer) });
