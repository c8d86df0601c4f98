import { PenniError } from "../../graph/errors.js";
import { type CIdentifier, markdownCode, scriptLiteral } from "../../text/destinations.js";
import type { EmittedFile } from "../backend.js";
import type { Port, Program } from "../program.js";
import { base64 } from "./base64.js";
import { uprightPicture } from "./upright_picture.js";

const RUNTIME = "penni-runtime.js";

/** The page holds the module as text, which JavaScript limits to 512 MiB. */
const LARGEST_MODULE = 256 * 2 ** 20;

/**
 * What shows a compiled module at work: a page that needs no server, the loader, and how to use both.
 * @param loader the text of penni/runtime
 * @throws PenniError "bad-option" if the module is too large for a page
 */
export function wasmExample(
  name: CIdentifier,
  module: Uint8Array,
  { inputs, outputs }: Pick<Program, "inputs" | "outputs">,
  loader: string,
): readonly EmittedFile[] {
  if (module.byteLength > LARGEST_MODULE) {
    throw new PenniError("bad-option", "the model is too large for an example page", {
      expected: `at most ${LARGEST_MODULE} bytes`,
      found: `${module.byteLength}`,
      advice: "Leave --example out",
    });
  }
  const runtime = loader.replace(/^\/\/# sourceMappingURL=.*\n?/m, "");
  return [
    { name: RUNTIME, content: runtime },
    { name: "index.html", content: page(name, runtime, base64(module)) },
    { name: "README.md", content: readme(name, inputs, outputs) },
  ];
}

// The name is a C identifier and the module base64: neither can end an element or a string.
const page = (name: CIdentifier, runtime: string, module: string): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${name}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
  canvas { max-width: 100%; display: block; margin: 1rem 0 }
  pre { white-space: pre-wrap }
</style>
<h1>${name}</h1>
<pre id="about">loading</pre>
<p id="choose" hidden><label>Image: <input id="file" type="file" accept="image/*"></label></p>
<canvas id="image" hidden></canvas>
<pre id="result"></pre>
<script type="module">
// The loader (penni/runtime) and ${name}.wasm are inside this page, so that it works without a server.
${runtime}
const element = (id) => document.getElementById(id);
const describe = ({ name, dims, type }) => \`\${name} \${type} [\${dims.join(", ")}]\`;

async function show() {
  const module = await (await fetch("data:application/wasm;base64,${module}")).arrayBuffer();
  const model = await load(module);
  const zeros = Object.fromEntries(
    model.inputs.map(({ name, dims }) => [name, new Float32Array(dims.reduce((a, b) => a * b, 1))]),
  );
  const milliseconds = time(() => model.run(zeros));
  element("about").textContent = [
    \`in:  \${model.inputs.map(describe).join(", ")}\`,
    \`out: \${model.outputs.map(describe).join(", ")}\`,
    \`one run: \${milliseconds.toFixed(2)} ms\${model.relaxed ? " (relaxed SIMD)" : ""}\`,
  ].join("\\n");
  element("choose").hidden = false;
  element("file").addEventListener("change", () => classify(model).catch(fail));
}

/** The fastest of some runs, in milliseconds. */
function time(work) {
  let best = Infinity;
  for (let i = 0; i < 10; i++) {
    const start = performance.now();
    work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

async function classify(model) {
  const pixels = await drawUpright(element("image"), element("file").files[0]);
  element("image").hidden = false;
  const scores = model.classify(pixels);
  element("result").textContent = scores
    .slice(0, 5)
    .map(({ name, probability }) => \`\${(100 * probability).toFixed(1).padStart(5)} %  \${name}\`)
    .join("\\n");
}

${uprightPicture}
function fail(error) {
  element("result").textContent = error.message;
}

show().catch(fail);
</script>
</html>
`;

const elements = ({ dims }: Port): number => dims.reduce((count, dim) => count * dim, 1);

function readme(name: CIdentifier, inputs: readonly Port[], outputs: readonly Port[]): string {
  const shapes = (ports: readonly Port[]): string =>
    ports
      .map((port) => `- ${markdownCode(port.name)}: ${port.elementType} [${port.dims.join(", ")}]`)
      .join("\n");
  const data = inputs.map((port) => `[${scriptLiteral(port.name)}]: new Float32Array(${elements(port)})`);
  const [only] = inputs;
  const input =
    inputs.length === 1 && only !== undefined
      ? `new Float32Array(${elements(only)})`
      : `{ ${data.join(", ")} }`;
  return `# ${name}

Open \`index.html\` in a browser: it needs no server. In your own page, worker, Node or Deno program:

\`\`\`js
import { load } from "./${RUNTIME}"; // or from "penni/runtime"

const model = await load(new URL("./${name}.wasm", import.meta.url));
const output = model.run(${input}); // several images: their elements one after the other
\`\`\`

Inputs, for one image:

${shapes(inputs)}

Outputs:

${shapes(outputs)}

For a classifier, \`model.classify(imageData)\` takes an image of any size and gives class names and probabilities.
`;
}
