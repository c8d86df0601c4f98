import { present } from "../../../src/graph/at.js";
import { takePictures } from "../actions/pictures.js";
import { GENERATED, network, pictures, source, taking } from "../state.js";
import { WorkNote } from "./work_note.js";

/** Which pictures the network is tried on: for errors of the output, for calibration and for races. */
export function PicturesSection() {
  if (network.value === undefined) return null;
  return (
    <section aria-labelledby="pictures">
      <h2 id="pictures">Pictures to try it on</h2>
      {network.value.pictures === undefined ? (
        <p class="note">This network takes no pictures: it is tried on random numbers.</p>
      ) : (
        <Chooser />
      )}
      <WorkNote work={taking.value} />
    </section>
  );
}

function Chooser() {
  const isBusy = taking.value.progress !== undefined;
  const choose = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    const files = [...present(input.files ?? undefined, "the files of an input for files")];
    input.value = "";
    if (files.length > 0) void takePictures({ kind: "files", files });
  };
  const chosen = source.value;
  return (
    <>
      <div class="opener">
        <label class="drop">
          <strong>Drop pictures anywhere, or choose some</strong>
          <input type="file" accept="image/*" multiple onChange={choose} disabled={isBusy} />
        </label>
        {chosen.kind === "files" && (
          <button type="button" class="secondary" onClick={() => void takePictures(GENERATED)}>
            Generated ones again
          </button>
        )}
      </div>
      {chosen.kind === "generated" && pictures.value.length > 0 && (
        <p class="note">
          As long as there are none, it is tried on generated ones: stripes, textures and shapes, which the
          example was trained for and which say little about any other network.
        </p>
      )}
      {chosen.kind === "files" && (
        <p class="note">{`${chosen.files.length} of your pictures, which stay on this machine.`}</p>
      )}
    </>
  );
}
