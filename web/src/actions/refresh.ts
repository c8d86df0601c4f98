import { batch } from "@preact/signals";
import type { Settings } from "../model/settings.js";
import {
  agreement,
  calibrated,
  fileBytes,
  forgetFigures,
  isAsked,
  type Maker,
  maker,
  model,
  settings,
  variant,
  varying,
} from "../state.js";
import { doing } from "./doing.js";
import { networkWorker, runtimeWorker } from "./workers.js";

export function changeSettings(changed: Settings): void {
  batch(() => {
    settings.value = changed;
    maker.value = "sliders";
  });
  refresh("network");
}

export function show(made: Maker): void {
  maker.value = made;
  refresh("network");
}

/** What has changed since the last refresh began: the network, or only what it is asked. */
let stale: "nothing" | "answers" | "network" = "nothing";
let isRefreshing = false;

/** Computes what is shown of the changed network, again and again until nothing changes any more. */
export function refresh(what: "answers" | "network"): void {
  if (stale !== "network") stale = what;
  if (isRefreshing) return;
  isRefreshing = true;
  void untilFresh().finally(() => {
    isRefreshing = false;
  });
}

const isStale = (): boolean => stale !== "nothing";

async function untilFresh(): Promise<void> {
  while (isStale()) {
    const isOther = stale === "network" || variant.value === undefined;
    stale = "nothing";
    if (isOther && (await doing(varying, "Computing", varied)) !== true) continue;
    if (!isStale()) await doing(varying, "Writing the file and running it", compared);
  }
}

async function varied(): Promise<true> {
  const [of, made] = [model.value, calibrated.value];
  const summary =
    maker.value === "calibration" && made !== undefined
      ? await networkWorker.call("adopt", made.bytes)
      : await networkWorker.call("vary", settings.value);
  batch(() => {
    // Another network may have been opened meanwhile.
    if (model.value !== of) return;
    variant.value = summary;
    forgetFigures();
  });
  return true;
}

async function compared(): Promise<void> {
  const of = model.value;
  const { bytes, plain } = await networkWorker.call("write", undefined);
  if (isStale() || model.value !== of) return;
  fileBytes.value = bytes;
  if (!isAsked.value) return;
  const found = await runtimeWorker.call("agree", plain, { transfer: [plain.buffer as ArrayBuffer] });
  if (!isStale() && model.value === of) agreement.value = found;
}
