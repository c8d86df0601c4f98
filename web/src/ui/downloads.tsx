import { downloadOf } from "../actions/compile.js";
import { compiling, model, variant } from "../state.js";

const kinds = [
  { kind: "onnx", ending: ".onnx", text: ".onnx", note: "for any ONNX Runtime" },
  { kind: "wasm", ending: ".wasm", text: ".wasm", note: "for penni/runtime in pages, Node and Deno" },
  {
    kind: "html",
    ending: ".html",
    text: "index.html",
    note: "a page with the network inside, which works from disk",
  },
] as const;

/** The changed network as files. */
export function Downloads() {
  if (variant.value === undefined) return null;
  const stem = (model.value?.name ?? "network").replace(/\.onnx$/i, "");
  const download = async (kind: (typeof kinds)[number]["kind"], ending: string): Promise<void> => {
    const blob = await downloadOf(kind);
    if (blob !== undefined) save(blob, kind === "html" ? "index.html" : `${stem}-small${ending}`);
  };
  return (
    <section aria-labelledby="downloads">
      <h2 id="downloads">Take it with you</h2>
      <div class="downloads">
        {kinds.map(({ kind, ending, text, note }) => (
          <div key={kind}>
            <button
              type="button"
              class="secondary"
              disabled={compiling.value.progress !== undefined}
              onClick={() => void download(kind, ending)}
            >
              {`Download ${text}`}
            </button>
            <small>{note}</small>
          </div>
        ))}
      </div>
    </section>
  );
}

/** Long enough for any browser to begin. */
const KEPT_MS = 60_000;

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}
