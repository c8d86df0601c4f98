import { batch } from "@preact/signals";
import exampleUrl from "../example/patterns.onnx?url";
import type { InputSizes } from "../model/network.js";
import { startSettings } from "../model/settings.js";
import type { NetworkSummary } from "../model/views.js";
import {
  calibrated,
  calibrating,
  compiling,
  forgetFigures,
  GENERATED,
  idle,
  isAsked,
  maker,
  model,
  network,
  openInputs,
  opening,
  pictures,
  settings,
  source,
  taking,
  variant,
  varying,
} from "../state.js";
import type { Model } from "../worker/network_calls.js";
import { stopCalibration } from "./calibrate.js";
import { doing } from "./doing.js";
import { takePictures } from "./pictures.js";
import { refresh } from "./refresh.js";
import { networkWorker, runtimeWorker } from "./workers.js";

/** Opens an `.onnx` file, with files that hold its weights where they are not inside. */
export async function openFiles(files: readonly File[]): Promise<void> {
  const [first] = files;
  const file = files.find(({ name }) => /\.onnx$/i.test(name)) ?? first;
  if (file === undefined) return;
  await openModel({ file, name: file.name, data: files.filter((other) => other !== file), sizes: {} });
}

/** Opens the network that comes with the page. */
export async function openExample(): Promise<void> {
  const file = await doing(opening, "Loading the example", async () => (await fetch(exampleUrl)).blob());
  if (file !== undefined) await openModel({ file, name: "patterns.onnx", data: [], sizes: {} });
}

/** Opens a file again, whose inputs' sizes are now chosen. */
export async function chooseSizes(sizes: InputSizes): Promise<void> {
  if (model.value !== undefined) await openModel({ ...model.value, sizes });
}

async function openModel(opened: Model): Promise<void> {
  stopCalibration();
  // Nobody waits for what was wanted of another network.
  for (const worker of [networkWorker, runtimeWorker]) worker.interrupt();
  batch(() => {
    model.value = opened;
    network.value = variant.value = calibrated.value = undefined;
    openInputs.value = [];
    pictures.value = [];
    isAsked.value = false;
    for (const work of [varying, taking, compiling, calibrating]) work.value = idle;
    maker.value = "sliders";
    source.value = GENERATED;
    forgetFigures();
  });
  const answer = await doing(opening, "Reading the file", (report) =>
    networkWorker.call("open", opened, { report }),
  );
  // Another one may have been opened meanwhile.
  if (answer === undefined || model.value !== opened) return;
  if (answer.kind === "open sizes") {
    openInputs.value = answer.inputs;
    return;
  }
  batch(() => {
    network.value = answer.summary;
    settings.value = startSettings(answer.summary.mostBasis);
  });
  refresh("network");
  if (await startRuntime(answer.summary)) await takePictures(source.value);
}

/** Loads the original. @returns whether it is still wanted and could be loaded */
async function startRuntime({ pictures: input, classNames, figures }: NetworkSummary): Promise<boolean> {
  const of = model.value;
  const isLoaded = await doing(taking, "Loading the original into ONNX Runtime", async () => {
    const plain = await networkWorker.call("plainOriginal", undefined);
    const given = { plain, input, classNames, macs: figures.executedMacs };
    await runtimeWorker.call("open", given, { transfer: [plain.buffer as ArrayBuffer] });
    return true;
  });
  return isLoaded === true && model.value === of;
}
