import { compiled, compiling, version } from "../state.js";
import { doing } from "./doing.js";
import { networkWorker, runtimeWorker } from "./workers.js";

/** Compiles the changed network, and races it against the original. */
export async function compileAndRace(): Promise<void> {
  const of = version.value;
  const made = await doing(compiling, "Compiling to WebAssembly", async (report) => {
    const { module, seconds } = compiled.value ?? (await networkWorker.call("compile", undefined));
    report({ text: "Racing", share: undefined });
    const race = await runtimeWorker.call("race", { module }, { report });
    return { module, seconds, race };
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
    if (kind === "html") {
      const page = await networkWorker.call("page", undefined);
      return typeof page === "string" ? new Blob([page], { type: "text/html" }) : blobOf(page, "text/html");
    }
    const of = version.value;
    const { module, seconds } = compiled.value ?? (await networkWorker.call("compile", undefined));
    if (of === version.value) compiled.value ??= { module, seconds, race: undefined };
    return blobOf(module, "application/wasm");
  });
}

const blobOf = (bytes: Uint8Array, type: string): Blob =>
  new Blob([bytes as Uint8Array<ArrayBuffer>], { type });

export const coefficientsOf = (layer: string) => networkWorker.call("coefficients", { layer });
