import { batch, type Signal, signal } from "@preact/signals";
import exampleUrl from "./example/patterns.onnx?url";
import type { Agreement } from "./model/agreement.js";
import type { InputSizes, OpenInput } from "./model/network.js";
import { type Settings, startSettings } from "./model/settings.js";
import type { NetworkSummary, VariantSummary } from "./model/views.js";
import type { CalibrateCalls } from "./worker/calibrate_calls.js";
import type { Model, NetworkCalls, Pixels } from "./worker/network_calls.js";
import { type Progress, Remote, Stopped } from "./worker/rpc.js";
import type { PictureSource, Race, RuntimeCalls } from "./worker/runtime_calls.js";

/** All that the page shows, and what changes it. Everything that takes time is done by workers. */

/** Something that is being done: how far it is, or why it failed. */
export interface Work {
  readonly progress: Progress | undefined;
  readonly failure: string | undefined;
}

const idle: Work = { progress: undefined, failure: undefined };

/** What the changed network was made by. */
export type Maker = "sliders" | "calibration";

/** A calibrated network, for which the sliders have no place. */
export interface Calibrated {
  readonly bytes: Uint8Array;
  readonly fraction: number;
  readonly pictures: number;
}

export interface Compiled {
  readonly module: Uint8Array;
  readonly page: string;
  readonly seconds: number;
  readonly race: Race | undefined;
}

/** A picture that is shown: of the user's files, or generated. */
export interface ShownPicture {
  readonly name: string;
  readonly pixels: Pixels;
}

export const model = signal<Model | undefined>(undefined);
export const opening = signal<Work>(idle);
export const openInputs = signal<readonly OpenInput[]>([]);
export const network = signal<NetworkSummary | undefined>(undefined);
export const settings = signal<Settings>(startSettings(1));
export const maker = signal<Maker>("sliders");
export const variant = signal<VariantSummary | undefined>(undefined);
/** Counts the variants, so that what was computed of one is not shown for another. */
export const version = signal(0);
/** Bytes of the variant's file; undefined while they are not known. */
export const fileBytes = signal<number | undefined>(undefined);
export const agreement = signal<Agreement | undefined>(undefined);
export const varying = signal<Work>(idle);
export const source = signal<PictureSource>({ kind: "generated", count: 64 });
export const pictures = signal<readonly ShownPicture[]>([]);
export const taking = signal<Work>(idle);
/** Whether the original was run on what networks are compared on. */
const isAsked = signal(false);
export const compiled = signal<Compiled | undefined>(undefined);
export const compiling = signal<Work>(idle);
export const calibrated = signal<Calibrated | undefined>(undefined);
export const calibrating = signal<Work>(idle);
export const fraction = signal(0.5);

const networkWorker = new Remote<NetworkCalls>(
  () => new Worker(new URL("./worker/network.ts", import.meta.url), { type: "module" }),
);
const runtimeWorker = new Remote<RuntimeCalls>(
  () => new Worker(new URL("./worker/runtime.ts", import.meta.url), { type: "module" }),
);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** For each kind of work which of its beginnings was the last: what was begun before shows nothing any more. */
const begun = new Map<Signal<Work>, number>();

/** Does something and shows how far it is. @returns undefined where it failed, which is shown as well */
async function doing<Result>(
  work: Signal<Work>,
  text: string,
  act: (report: (progress: Progress) => void) => Promise<Result>,
): Promise<Result | undefined> {
  const own = (begun.get(work) ?? 0) + 1;
  begun.set(work, own);
  const tell = (now: Work): void => {
    if (begun.get(work) === own) work.value = now;
  };
  tell({ progress: { text, share: undefined }, failure: undefined });
  try {
    const result = await act((progress) => tell({ progress, failure: undefined }));
    tell(idle);
    return result;
  } catch (error) {
    tell(error instanceof Stopped ? idle : { progress: undefined, failure: messageOf(error) });
    return undefined;
  }
}

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
  batch(() => {
    model.value = opened;
    network.value = variant.value = compiled.value = calibrated.value = undefined;
    openInputs.value = [];
    pictures.value = [];
    isAsked.value = false;
    for (const work of [varying, taking, compiling, calibrating]) work.value = idle;
    maker.value = "sliders";
    source.value = { kind: "generated", count: 64 };
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
  refresh();
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

/** Pictures that were dropped; what they are for must be there. */
export async function dropPictures(files: readonly File[]): Promise<void> {
  const refusal =
    network.value === undefined
      ? "These are pictures. Open a network first, then drop them again"
      : network.value.pictures === undefined
        ? "This network takes no pictures"
        : undefined;
  if (refusal === undefined) await takePictures({ kind: "files", files });
  else opening.value = { progress: undefined, failure: refusal };
}

/** Takes pictures, on which outputs are compared and races run. */
export async function takePictures(given: PictureSource): Promise<void> {
  const names = given.kind === "files" ? given.files.map(({ name }) => name) : [];
  const of = model.value;
  const taken = await doing(taking, "Reading pictures", (report) =>
    runtimeWorker.call("take", given, { report }),
  );
  if (taken === undefined || model.value !== of) return;
  batch(() => {
    isAsked.value = true;
    source.value = given;
    pictures.value = taken.shown.map((pixels, index) => ({
      name: names[index] ?? `generated ${index + 1}`,
      pixels,
    }));
    agreement.value = undefined;
    if (compiled.value !== undefined) compiled.value = { ...compiled.value, race: undefined };
  });
  refresh();
}

function forgetFigures(): void {
  version.value += 1;
  fileBytes.value = agreement.value = compiled.value = undefined;
}

export function changeSettings(changed: Settings): void {
  batch(() => {
    settings.value = changed;
    maker.value = "sliders";
  });
  refresh();
}

export function show(made: Maker): void {
  maker.value = made;
  refresh();
}

let isRefreshing = false;
/** Whether something has changed since the last refresh began. */
let isStale = false;

/** Computes what is shown of the changed network, again and again until nothing changes any more. */
export function refresh(): void {
  isStale = true;
  if (isRefreshing) return;
  isRefreshing = true;
  void untilFresh().finally(() => {
    isRefreshing = false;
  });
}

async function untilFresh(): Promise<void> {
  while (isStale) {
    isStale = false;
    const found = await doing(varying, "Computing", varied);
    if (found === undefined || isStale) continue;
    await doing(varying, "Writing the file and running it", compared);
  }
}

async function varied(): Promise<true> {
  const made = calibrated.value;
  const summary =
    maker.value === "calibration" && made !== undefined
      ? await networkWorker.call("adopt", made.bytes)
      : await networkWorker.call("vary", settings.value);
  batch(() => {
    variant.value = summary;
    forgetFigures();
  });
  return true;
}

async function compared(): Promise<void> {
  const { bytes, plain } = await networkWorker.call("write", undefined);
  if (isStale) return;
  fileBytes.value = bytes;
  if (!isAsked.value) return;
  const found = await runtimeWorker.call("agree", plain, { transfer: [plain.buffer as ArrayBuffer] });
  if (!isStale) agreement.value = found;
}

/** Compiles the changed network, and races it against the original. */
export async function compileAndRace(): Promise<void> {
  const of = version.value;
  const made = await doing(compiling, "Compiling to WebAssembly", async (report) => {
    const { module, page, seconds } = compiled.value ?? (await networkWorker.call("compile", undefined));
    report({ text: "Racing", share: undefined });
    const race = await runtimeWorker.call("race", { module });
    return { module, page, seconds, race };
  });
  if (made !== undefined && of === version.value) compiled.value = made;
}

/** What both networks of the last race see in a picture. */
export const look = (bitmap: ImageBitmap) => runtimeWorker.call("look", bitmap, { transfer: [bitmap] });

/** The changed network as files to keep. */
export async function downloadOf(kind: "onnx" | "wasm" | "html"): Promise<Blob | undefined> {
  return doing(compiling, kind === "onnx" ? "Writing the file" : "Compiling to WebAssembly", async () => {
    if (kind === "onnx")
      return blobOf(await networkWorker.call("file", undefined), "application/octet-stream");
    const of = version.value;
    const { module, page, seconds } = compiled.value ?? (await networkWorker.call("compile", undefined));
    if (of === version.value) compiled.value ??= { module, page, seconds, race: undefined };
    return kind === "wasm" ? blobOf(module, "application/wasm") : new Blob([page], { type: "text/html" });
  });
}

const blobOf = (bytes: Uint8Array, type: string): Blob =>
  new Blob([bytes as Uint8Array<ArrayBuffer>], { type });

export const coefficientsOf = (layer: string) => networkWorker.call("coefficients", { layer });

/** Generated pictures that a calibration takes: it needs more than are shown. */
const CALIBRATION_PICTURES = 256;

let calibration: Remote<CalibrateCalls> | undefined;

/** Calibrates on the pictures, in a worker of its own. */
export async function calibrate(): Promise<void> {
  const given = model.value;
  if (given === undefined) return;
  stopCalibration();
  const worker = new Remote<CalibrateCalls>(
    () => new Worker(new URL("./worker/calibrate.ts", import.meta.url), { type: "module" }),
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
