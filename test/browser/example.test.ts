import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import sharp from "sharp";
import { cName } from "../../src/compile/c/names.js";
import { compileProgram } from "../../src/compile/compile.js";
import type { Program } from "../../src/compile/program.js";
import { wasmExample } from "../../src/compile/wasm/example.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { uprightPicture } from "../../src/compile/wasm/upright_picture.js";
import { CLASS_NAMES_KEY, imagenetPreprocessing, PREPROCESSING_KEY } from "../../src/graph/image_metadata.js";
import { load } from "../../src/runtime/index.js";
import { CHROMIUM, withoutChromium } from "../../support/browser.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

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

/** The example's page, with the files beside it in the test's folder. */
async function exampleFile(program: Program, module: Uint8Array): Promise<string> {
  const loader = readFileSync(new URL("../../src/runtime/index.js", import.meta.url), "utf8");
  for (const { name, content } of wasmExample(cName("tiny"), module, program, loader)) {
    writeFileSync(path.join(folder, name), content);
  }
  return readFileSync(path.join(folder, "index.html"), "utf8");
}

/** The page as it is when nothing happens on it any more. */
function chromium(page: string): string {
  const file = path.join(folder, "chosen.html");
  writeFileSync(file, page);
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
  return stdout;
}

const FORMATS = ["jpeg", "webp", "png"] as const;

test("the page turns pictures as data sets are read, in every format and orientation", {
  skip: withoutChromium,
}, async () => {
  // Large parts of one colour, which no compression changes much.
  const [width, height] = [32, 16];
  const pixels = Uint8Array.from({ length: 3 * width * height }, (_, at) => {
    const [x, y] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width)];
    return 255 * (at % 3 === 0 ? (x < 16 ? 1 : 0) : at % 3 === 1 ? (y < 8 ? 1 : 0) : x < 8 && y < 8 ? 1 : 0);
  });
  const files: string[] = [];
  const upright: { readonly name: string; readonly size: string; readonly data: Uint8Array }[] = [];
  for (const format of FORMATS) {
    for (let orientation = 1; orientation <= 8; orientation++) {
      const file = await sharp(pixels, { raw: { width, height, channels: 3 } })
        .withMetadata({ orientation })
        .toFormat(format, { quality: 100 })
        .toBuffer();
      files.push(`data:image/${format};base64,${file.toString("base64")}`);
      const { data, info } = await sharp(file).autoOrient().raw().toBuffer({ resolveWithObject: true });
      upright.push({ name: `${format} ${orientation}`, size: `${info.width}x${info.height}`, data });
    }
  }
  const stdout = chromium(`<!doctype html><pre id="result"></pre><script type="module">
let isDone = false;
(async () => { while (!isDone) await new Promise((resolve) => setTimeout(resolve, 10)); })();
${uprightPicture}
const found = [];
for (const file of ${JSON.stringify(files)}) {
  const { width, height, data } = await drawUpright(new OffscreenCanvas(1, 1), await (await fetch(file)).blob());
  found.push([width + "x" + height, Array.from(data).filter((_, at) => at % 4 < 3)]);
}
document.getElementById("result").textContent = JSON.stringify(found);
isDone = true;
</script>`);
  const found: readonly (readonly [string, readonly number[]])[] = JSON.parse(
    /<pre id="result">([^<]*)</.exec(stdout)?.[1] ?? "[]",
  );
  assert.equal(found.length, upright.length);
  upright.forEach(({ name, size, data }, index) => {
    const [seen, levels = []] = found[index] ?? [];
    assert.equal(seen, size, name);
    // Decoders differ by some levels at edges, another orientation by half of the picture.
    const wrong = levels.filter((level, at) => Math.abs(level - (data[at] ?? 0)) > 64).length;
    assert.ok(wrong < 0.1 * data.length, `${name}: ${wrong} of ${data.length}`);
  });
});

test("the example's page works without a server", { skip: withoutChromium }, async () => {
  const names = Array.from({ length: 10 }, (_, index) => `<b>class ${index}</b>`);
  const metadata = new Map([
    [PREPROCESSING_KEY, JSON.stringify(imagenetPreprocessing)],
    [CLASS_NAMES_KEY, JSON.stringify(names)],
  ]);
  const program = compileProgram({ ...tinyCnn(), metadata }, wasmTarget);
  const stdout = chromium((await exampleFile(program, wasmModule(program))) + chooseImage);
  const textOf = (id: string): string => new RegExp(`<pre id="${id}">([^<]*)</pre>`).exec(stdout)?.[1] ?? "";
  assert.match(textOf("about"), /^in: {2}x float32 \[1, 3, 16, 16\]\nout: gemm float32 \[1, 10\]\none run: /);
  const result = textOf("result");
  const lines = result.split("\n");
  assert.equal(lines.length, 5, result);
  for (const line of lines) assert.match(line, /^ *\d+\.\d % {2}&lt;b&gt;class \d&lt;\/b&gt;$/);
});

/** What a user does with several files, given as base64; the page's answers end up in one element. */
const chooseFiles = (files: readonly string[]): string => `
<pre id="answers"></pre>
<script type="module">
const wait = () => new Promise((resolve) => setTimeout(resolve, 10));
const [input, result] = ["file", "result"].map((id) => document.getElementById(id));
while (document.getElementById("choose").hidden) await wait();
const answers = [];
for (const text of ${JSON.stringify(files)}) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const chosen = new DataTransfer();
  chosen.items.add(new File([bytes], "photo"));
  result.textContent = "";
  input.files = chosen.files;
  input.dispatchEvent(new Event("change"));
  while (result.textContent === "") await wait();
  answers.push(result.textContent);
}
document.getElementById("answers").textContent = answers.join("\\n\\n");
</script>
`;

test("the page answers as the loader does in Node on the same photos", {
  skip: withoutChromium,
}, async () => {
  const metadata = new Map([[PREPROCESSING_KEY, JSON.stringify(imagenetPreprocessing)]]);
  const program = compileProgram({ ...tinyCnn(), metadata }, wasmTarget);
  const module = wasmModule(program);
  const model = await load(module);
  const files: Buffer[] = [];
  const expected: string[] = [];
  const sizes: readonly (readonly [number, number])[] = [
    [64, 48],
    [16, 16],
    [9, 31],
    [320, 200],
  ];
  for (const [index, [width, height]] of sizes.entries()) {
    const noise = Uint8Array.from({ length: 3 * width * height }, (_, at) => (at * at * (index + 3)) % 251);
    const image = sharp(noise, { raw: { width, height, channels: 3 } });
    // The last one lies on its side, as phones write photos; without loss, so that both decoders agree.
    const upright =
      index === 3
        ? image.jpeg({ quality: 100, chromaSubsampling: "4:4:4" }).withMetadata({ orientation: 6 })
        : image.png();
    const file = await upright.toBuffer();
    files.push(file);
    const { data, info } = await sharp(file).autoOrient().ensureAlpha().raw().toBuffer({
      resolveWithObject: true,
    });
    const scores = model.classify({ width: info.width, height: info.height, data }).slice(0, 5);
    expected.push(
      scores
        .map(({ name, probability }) => `${(100 * probability).toFixed(1).padStart(5)} %  ${name}`)
        .join("\n"),
    );
  }
  const page = await exampleFile(program, module);
  const stdout = chromium(page + chooseFiles(files.map((file) => file.toString("base64"))));
  const answers = /<pre id="answers">([^<]*)<\/pre>/.exec(stdout)?.[1] ?? "";
  assert.deepEqual(answers.split("\n\n"), expected);
});
