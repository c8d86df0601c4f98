import { at, present } from "../../../src/graph/at.js";
import { chooseSizes, openExample, openFiles } from "../actions/open.js";
import type { OpenInput } from "../model/network.js";
import { model, openInputs, opening } from "../state.js";
import { WorkNote } from "./work_note.js";

/** Where a network comes in. */
export function Opener() {
  const isBusy = opening.value.progress !== undefined;
  const choose = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    const files = [...present(input.files ?? undefined, "the files of an input for files")];
    // The same file again is a change as well.
    input.value = "";
    if (files.length > 0) void openFiles(files);
  };
  return (
    <section aria-label="Open a network">
      <div class="opener">
        <label class="drop">
          <strong>
            {model.value === undefined ? "Drop an .onnx file here, or choose one" : "Another .onnx file"}
          </strong>
          <input type="file" accept=".onnx,.data,.bin" multiple onChange={choose} disabled={isBusy} />
        </label>
        <button type="button" class="secondary" onClick={() => void openExample()} disabled={isBusy}>
          Take the example
        </button>
      </div>
      <WorkNote work={opening.value} />
      {openInputs.value.length > 0 && <SizesForm inputs={openInputs.value} />}
    </section>
  );
}

/** What most networks of pictures take. */
const USUAL_SIDE = 224;

/** Asks for sizes that a network leaves open. */
function SizesForm({ inputs }: { readonly inputs: readonly OpenInput[] }) {
  const submit = (event: Event): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const sizes = inputs.map(({ name, dims }, index) => [
      name,
      dims.map((dim, axis) => dim ?? chosen(data, `${index}.${axis}`)),
    ]);
    void chooseSizes(Object.fromEntries(sizes));
  };
  return (
    <form onSubmit={submit}>
      <article>
        <p>This network leaves sizes of its input open. Choose them: what it costs depends on them.</p>
        {inputs.map(({ name, dims }, index) => (
          <fieldset key={name}>
            <legend>
              <code>{name}</code>
            </legend>
            <div class="grid">
              {dims.map((dim, axis) =>
                dim === undefined && axis > 0 ? (
                  <label key={`${name} ${dims.length - axis}`}>
                    {axisName(axis, dims.length)}
                    <input
                      type="number"
                      name={`${index}.${axis}`}
                      min={1}
                      max={4096}
                      required
                      value={axis === 1 && dims.length === 4 ? 3 : USUAL_SIDE}
                    />
                  </label>
                ) : null,
              )}
            </div>
          </fieldset>
        ))}
        <button type="submit">Go on</button>
      </article>
    </form>
  );
}

/** A size as it was typed; 1 for a batch, which nobody is asked for. */
const chosen = (data: FormData, field: string): number => (data.has(field) ? Number(data.get(field)) : 1);

const axisName = (axis: number, rank: number): string =>
  rank === 4 ? at(["Batch", "Channels", "Height", "Width"], axis) : `Dimension ${axis + 1}`;
