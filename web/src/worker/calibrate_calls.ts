import type { Model } from "./network_calls.js";
import type { PictureSource } from "./runtime_calls.js";

/** What the worker does that calibrates; it is ended to stop it. */
export type CalibrateCalls = {
  readonly calibrate: {
    readonly given: {
      readonly model: Model;
      readonly pictures: PictureSource;
      /** Multiply-accumulates to reach (paper count), as a share of the original's. */
      readonly fraction: number;
    };
    /** An `.onnx` file with bases and coefficients. */
    readonly answer: { readonly bytes: Uint8Array; readonly pictures: number };
  };
};
