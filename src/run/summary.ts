import type { Change, Interval } from "../measure/interval.js";
import type { OutputAgreement } from "../measure/output_comparison.js";
import type { Spread } from "../measure/rounds.js";
import type { GoalValue } from "../method/goal/describe.js";
import type { Goal } from "../method/goal/rules.js";
import type { Try } from "../method/goal/schema.js";

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
  /** How sure that is: its interval, runs and rounds. */
  readonly latencySpread?: Spread;
  /** The same, compiled to WebAssembly; absent where that is not possible. */
  readonly compiledMs?: number;
  readonly compiledSpread?: Spread;
  /** Top-1 on the test split and, as a share, its interval; absent where the labels are no reference. */
  readonly test?: {
    readonly correct: number;
    readonly total: number;
    /** That there are to choose among. */
    readonly classes?: number;
  } & Partial<Interval>;
}

/** How what is measured, not counted, changed. */
export interface Changes {
  /** Compressed by original, of rounds by turns. */
  readonly latency: Change;
  readonly compiled?: Change;
  /** Compressed minus original, shares of the same test images. */
  readonly test?: Change;
}

/** What was asked for, what was reached, and how. */
export interface GoalOutcome {
  readonly asked: Goal;
  /** Of the original's multiply-accumulates (paper count), as it was found. */
  readonly fraction: number;
  /** Of the result: its file, its own measured time, or the loss of the try that it comes from. */
  readonly reached: GoalValue;
  /** Whether that is within the goal; of a time, with its whole interval. */
  readonly isMet: boolean;
  /** All that was tried, in order. */
  readonly tries: readonly Try[];
}

/** `summary.json`: the outcome of a run. */
export interface Summary {
  readonly original: Figures;
  readonly compressed: Figures;
  /** How well the compressed network's outputs agree with the original's on the test images, where there are no labels. */
  readonly agreement?: { readonly images: number; readonly outputs: readonly OutputAgreement[] };
  /** From the original to the compressed network; where `differs` is false, no difference was measured. */
  readonly changes?: Changes;
  /** Where the run had a goal. */
  readonly goal?: GoalOutcome;
  /** Path of the exported model. */
  readonly model: string;
}
