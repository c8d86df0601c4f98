import { batch } from "@preact/signals";
import { agreement, compiled, isAsked, model, network, opening, pictures, source, taking } from "../state.js";
import type { PictureSource } from "../worker/runtime_calls.js";
import { doing } from "./doing.js";
import { refresh } from "./refresh.js";
import { runtimeWorker } from "./workers.js";

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
  refresh("answers");
}
