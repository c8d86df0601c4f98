import { PenniError } from "../../graph/errors.js";
import type { CalibrationOptions, CalibrationProgress } from "./contract.js";
import type { WorkMeter } from "./progress.js";

/** Says how far a calibration is, and stops it if that is wanted. */
export function report(
  options: CalibrationOptions,
  { share, secondsLeft }: WorkMeter,
  progress: Omit<CalibrationProgress, "share" | "secondsLeft">,
): void {
  checkSignal(options, progress.layer);
  options.onProgress?.({ ...progress, share, secondsLeft });
}

/** Lets others (Ctrl-C) have their turn: fitting a layer takes seconds. */
export async function breathe(options: CalibrationOptions, layer: string): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  checkSignal(options, layer);
}

function checkSignal({ signal }: CalibrationOptions, layer: string): void {
  if (signal?.aborted !== true) return;
  throw new PenniError("interrupted", `stopped while calibrating, at layer "${layer}"`);
}
