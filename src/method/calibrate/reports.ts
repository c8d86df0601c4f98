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

/**
 * What a step of a layer calls after each of its parts: says how far it is, and lets others (Ctrl-C) have their turn,
 * as a layer takes seconds.
 */
export type PartDone = () => Promise<void>;

/** @param advance of the step's meter */
export function partReports(
  options: CalibrationOptions,
  meter: WorkMeter,
  progress: Parameters<typeof report>[2],
  advance: () => void,
): PartDone {
  return async () => {
    advance();
    await new Promise((resolve) => setTimeout(resolve, 0));
    report(options, meter, progress);
  };
}

function checkSignal({ signal }: CalibrationOptions, layer: string): void {
  if (signal?.aborted !== true) return;
  throw new PenniError("interrupted", `stopped while calibrating, at layer "${layer}"`);
}
