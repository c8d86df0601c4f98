import type { ErrorCode, ErrorDetails } from "../../graph/errors.js";
import type { EpochMetrics, EpochTiming, TrainingPlan, TrainingProgress } from "../../train/plan.js";

/** What the parent process sends to a training process. */
export type ToTrainer = { readonly kind: "start"; readonly plan: TrainingPlan } | { readonly kind: "stop" };

/** What a training process sends back. */
export type FromTrainer =
  | { readonly kind: "progress"; readonly progress: TrainingProgress }
  | { readonly kind: "epoch"; readonly metrics: EpochMetrics }
  | { readonly kind: "timing"; readonly timing: EpochTiming }
  /** Something the user should know. */
  | { readonly kind: "notice"; readonly text: string }
  /** The result file is written. */
  | { readonly kind: "done" }
  /** Stopped on request; a checkpoint is written. */
  | { readonly kind: "stopped" }
  | {
      readonly kind: "failed";
      readonly code: ErrorCode;
      readonly problem: string;
      readonly details: ErrorDetails;
      readonly stack: string | undefined;
    };
