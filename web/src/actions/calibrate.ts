import { calibrated, calibrating, fraction, idle, model, source } from "../state.js";
import type { CalibrateCalls } from "../worker/calibrate_calls.js";
import { Remote } from "../worker/rpc.js";
import type { PictureSource } from "../worker/runtime_calls.js";
import { doing } from "./doing.js";
import { show } from "./refresh.js";

/** Generated pictures that a calibration takes: it needs more than are shown. */
const CALIBRATION_PICTURES = 256;

let calibration: Remote<CalibrateCalls> | undefined;

/** Calibrates on the pictures, in a worker of its own. */
export async function calibrate(): Promise<void> {
  const given = model.value;
  if (given === undefined) return;
  stopCalibration();
  const worker = new Remote<CalibrateCalls>(
    () => new Worker(new URL("../worker/calibrate.ts", import.meta.url), { type: "module" }),
  );
  calibration = worker;
  const wanted = fraction.value;
  const from = source.value;
  const taken: PictureSource = from.kind === "files" ? from : { ...from, count: CALIBRATION_PICTURES };
  const made = await doing(calibrating, "Starting", (report) =>
    worker.call("calibrate", { model: given, pictures: taken, fraction: wanted }, { report }),
  );
  worker.end();
  if (calibration !== worker) return;
  calibration = undefined;
  if (made === undefined) return;
  calibrated.value = { bytes: made.bytes, fraction: wanted, pictures: made.pictures };
  show("calibration");
}

export function stopCalibration(): void {
  const running = calibration;
  calibration = undefined;
  running?.end();
  calibrating.value = idle;
}
