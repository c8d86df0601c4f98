import { network, pictures, source, takePictures, taking } from "../state.js";
import { WorkNote } from "./work_note.js";

/** Which pictures the network is tried on. */
export function PictureChooser() {
  const isBusy = taking.value.progress !== undefined;
  if (network.value?.pictures === undefined)
    return (
      <>
        <p class="note">This network takes no pictures: it is tried on random numbers.</p>
        <WorkNote work={taking.value} />
      </>
    );
  const choose = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    const files = [...(input.files ?? [])];
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
          <button
            type="button"
            class="secondary"
            onClick={() => void takePictures({ kind: "generated", count: 64 })}
          >
            Generated ones again
          </button>
        )}
      </div>
      <WorkNote work={taking.value} />
      {chosen.kind === "generated" && pictures.value.length > 0 && (
        <p class="note">
          As long as there are none, these are generated: stripes, textures and shapes, which say little about
          another network than the example.
        </p>
      )}
      {chosen.kind === "files" && (
        <p class="note">{`${chosen.files.length} of your pictures, which stay on this machine.`}</p>
      )}
    </>
  );
}
