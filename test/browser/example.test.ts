import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { wasmExample } from "../../src/cli/wasm_example.js";
import { cName } from "../../src/compile/c/names.js";
import { compileProgram } from "../../src/compile/compile.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { CLASS_NAMES_KEY, imagenetPreprocessing, PREPROCESSING_KEY } from "../../src/graph/image_metadata.js";
import { CHROMIUM, withoutChromium } from "../support/browser.js";
import { tinyCnn } from "../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-example-"));
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

/** What a user does: chooses an image file. */
const chooseImage = `
<script type="module">
const canvas = new OffscreenCanvas(30, 20);
const context = canvas.getContext("2d");
context.fillStyle = "teal";
context.fillRect(5, 5, 20, 10);
const files = new DataTransfer();
files.items.add(new File([await canvas.convertToBlob()], "image.png", { type: "image/png" }));
const input = document.getElementById("file");
while (document.getElementById("choose").hidden) await new Promise((resolve) => setTimeout(resolve, 10));
input.files = files.files;
input.dispatchEvent(new Event("change"));
while (document.getElementById("result").textContent === "") await new Promise((resolve) => setTimeout(resolve, 10));
</script>
`;

test("the example's page works without a server", { skip: withoutChromium }, async () => {
  const names = Array.from({ length: 10 }, (_, index) => `<b>class ${index}</b>`);
  const metadata = new Map([
    [PREPROCESSING_KEY, JSON.stringify(imagenetPreprocessing)],
    [CLASS_NAMES_KEY, JSON.stringify(names)],
  ]);
  const program = compileProgram({ ...tinyCnn(), metadata }, wasmTarget);
  for (const { name, content } of await wasmExample(cName("tiny"), wasmModule(program), program)) {
    writeFileSync(path.join(folder, name), content);
  }
  const file = path.join(folder, "chosen.html");
  writeFileSync(file, readFileSync(path.join(folder, "index.html"), "utf8") + chooseImage);
  const { stdout } = spawnSync(
    CHROMIUM,
    [
      ...["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${path.join(folder, "profile")}`],
      // The page's clock runs ahead while nothing is done on the page; decoding an image is done elsewhere, and the page
      // waits for it by looking again and again.
      ...["--virtual-time-budget=10000000", "--dump-dom", pathToFileURL(file).href],
    ],
    { encoding: "utf8", timeout: 60_000 },
  );
  const textOf = (id: string): string => new RegExp(`<pre id="${id}">([^<]*)</pre>`).exec(stdout)?.[1] ?? "";
  assert.match(textOf("about"), /^in: {2}x float32 \[1, 3, 16, 16\]\nout: gemm float32 \[1, 10\]\none run: /);
  const result = textOf("result");
  const lines = result.split("\n");
  assert.equal(lines.length, 5, result);
  for (const line of lines) assert.match(line, /^ *\d+\.\d % {2}&lt;b&gt;class \d&lt;\/b&gt;$/);
});
