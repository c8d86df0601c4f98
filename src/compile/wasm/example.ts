import { at } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";
import { hasBoxes } from "../../runtime/boxes.js";
import { type CIdentifier, escapeHtml, markdownCode, scriptLiteral } from "../../text/destinations.js";
import type { EmittedFile } from "../backend.js";
import { detectorNote, statedOutputs } from "../detector_note.js";
import type { Port, Program } from "../program.js";
import { base64 } from "./base64.js";
import { answersScript } from "./example_answers.js";
import { sourcesScript } from "./example_sources.js";
import { pageStyle } from "./example_style.js";

const RUNTIME = "penni-runtime.js";
const PICTURES = "penni-pictures.js";
const BOXES = "penni-boxes.js";

/** The page holds the module as text, which JavaScript limits to 512 MiB. */
const LARGEST_MODULE = 256 * 2 ** 20;

/**
 * What shows a compiled module at work: a page that needs no server, the loader, what reads pictures (and a detector's boxes),
 * and how to use them.
 * @param parts the texts of `exampleParts`
 * @throws PenniError "bad-option" if the module is too large for a page
 */
export function wasmExample(
  name: CIdentifier,
  module: Uint8Array,
  { inputs, outputs, metadata }: Pick<Program, "inputs" | "outputs" | "metadata">,
  parts: readonly string[],
): readonly EmittedFile[] {
  if (module.byteLength > LARGEST_MODULE) {
    throw new PenniError("bad-option", "the model is too large for an example page", {
      expected: `at most ${LARGEST_MODULE} bytes`,
      found: `${module.byteLength}`,
      advice: "Leave --example out",
    });
  }
  const stated = statedOutputs({ outputs, metadata });
  const [note, isDetector] = [detectorNote(stated), hasBoxes(stated)];
  const names = [RUNTIME, PICTURES, ...(isDetector ? [BOXES] : [])];
  const library = names.map((file, index) => ({ name: file, content: withoutSourceMap(at(parts, index)) }));
  const texts = library.map(({ content }) => content).join("");
  return [
    ...library,
    { name: "index.html", content: page(name, texts, base64(module), note) },
    { name: "README.md", content: readme(name, inputs, outputs, isDetector) },
  ];
}

const withoutSourceMap = (text: string): string => text.replace(/^\/\/# sourceMappingURL=.*\n?/m, "");

/** Whoever changes the page can go on with it, while what is not of this page cannot become a script of it. */
const NONCE = "penni";

/** Nothing but this page is loaded, and nothing is sent anywhere. */
const POLICY = [
  "default-src 'none'",
  `script-src 'nonce-${NONCE}' 'wasm-unsafe-eval'`,
  `style-src 'nonce-${NONCE}'`,
  "img-src data: blob:",
  "connect-src data:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

// The name is a C identifier and the module base64: neither can end an element or a string.
const page = (name: CIdentifier, library: string, module: string, note = ""): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${name}</title>
<link rel="icon" href="data:,">
<style nonce="${NONCE}">
${pageStyle}</style>
</head>
<body>
<main id="main" aria-busy="true">
<h1>${name}</h1>
<p id="about">Loading the network \u2026</p>
<noscript><p>This page needs JavaScript: the network runs in your browser.</p></noscript>
<p id="problem" role="alert" hidden></p>
<p id="status" class="unseen" role="status"></p>
<div class="columns">
<section aria-label="What it is given">
<div id="pictures" hidden>
<label class="button">Choose a picture<input id="file" class="unseen" type="file" accept="image/*" aria-label="Choose a picture"></label>
<button id="paste" type="button">Paste</button>
<button id="camera" type="button">Use the camera</button>
</div>
<button id="random" type="button" hidden>Other random numbers</button>
<label id="drop" for="file" hidden>Drop a picture anywhere, paste one, or choose one here</label>
<canvas id="picture" role="img" aria-label="The picture" hidden></canvas>
<video id="video" aria-label="What the camera sees" muted playsinline hidden></video>
<p id="note">Pictures stay on this machine.</p>
</section>
<section aria-labelledby="answer">
<h2 id="answer">Answer</h2>
<p id="hint">What the network makes of it will be here.</p>
<ol id="scores"></ol>
<p id="time"></p>
<details id="numbers" hidden>
<summary>Outputs as numbers</summary>
<table>
<thead><tr><th scope="col">Output and shape</th><th scope="col">Range</th><th scope="col">First values</th></tr></thead>
<tbody id="rows"></tbody>
</table>
<p id="reason">${escapeHtml(note)}</p>
</details>
</section>
</div>
</main>
<script id="module" type="text/plain">${module}</script>
<script nonce="${NONCE}" type="module">
// What runs networks (penni/runtime), what reads pictures (penni/pictures), a detector's boxes (penni/boxes), and ${name}.wasm above
// are inside this page, so that it works without a server.
${library}
// The page itself.
{
${answersScript}${sourcesScript}}
</script>
</body>
</html>
`;

const anyImage = `an image of any size (an \`ImageData\`, or what \`readPicture(file)\` of
\`./${PICTURES}\`, or of "penni/pictures", reads of a picture's file in a page)`;

const forClassifiers = `For a classifier, \`model.classify(image)\` takes ${anyImage} and gives class names and probabilities.
`;

const forDetectors = `For a detector, \`findBoxes(model, image)\` of \`./${BOXES}\`, or of "penni/boxes", takes ${anyImage}
and gives names, scores and boxes in the image's pixels. The output as it is: \`model.run(model.prepare(image))\`.
`;

const elements = ({ dims }: Port): number => dims.reduce((count, dim) => count * dim, 1);

function readme(
  name: CIdentifier,
  inputs: readonly Port[],
  outputs: readonly Port[],
  isDetector: boolean,
): string {
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

${isDetector ? forDetectors : forClassifiers}`;
}
