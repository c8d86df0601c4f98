import type { OutputAgreement } from "../../measure/output_comparison.js";

/** What a network costs and how well it does. */
export interface Figures {
  /** Paper count: non-zero coefficients, bases and the rest. */
  readonly parameters: number;
  /** Multiply-accumulates of one image as the paper counts them. */
  readonly paperMacs: number;
  /** Multiply-accumulates of one image that ONNX Runtime really runs. */
  readonly executedMacs: number;
  /** Bytes of the file. */
  readonly bytes: number;
  /** Median milliseconds of one image in onnxruntime-node on one thread, both networks by turns. */
  readonly latencyMs: number;
  /** The same, compiled to WebAssembly; absent where that is not possible. */
  readonly compiledMs?: number;
  /** Top-1 on the test split; absent where the labels are no reference. */
  readonly test?: { readonly correct: number; readonly total: number };
}

/** `summary.json`: the outcome of a run. */
export interface Summary {
  readonly original: Figures;
  readonly compressed: Figures;
  /** How well the compressed network's outputs agree with the original's on the test images, where there are no labels. */
  readonly agreement?: { readonly images: number; readonly outputs: readonly OutputAgreement[] };
  /** Path of the exported model. */
  readonly model: string;
}
