import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import sharp from "sharp";
import { cName } from "../../src/compile/c/names.js";
import { compileProgram } from "../../src/compile/compile.js";
import { backend } from "../../src/compile/wasm/backend.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { runGraph } from "../../src/execute/node.js";
import { at } from "../../src/graph/at.js";
import { ints } from "../../src/graph/attributes.js";
import { CLASS_NAMES_KEY, imagenetPreprocessing, PREPROCESSING_KEY } from "../../src/graph/image_metadata.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { type ClassScore, load } from "../../src/runtime/index.js";
import { withoutControls } from "../../src/text/destinations.js";
import { CHROMIUM, withoutChromium } from "../../support/browser.js";
import { node, smallGraph } from "../../support/small_models.js";
import { TINY_SIZE, tinyCnn } from "../../support/tiny_cnn.js";
import { redSquareDetector } from "../examples/red_square_detector.js";

const skip = withoutChromium;
const folder = mkdtempSync(path.join(tmpdir(), "penni-example-"));
const parts = backend.exampleParts.map((part) =>
  readFileSync(new URL(`../../src/${part}`, import.meta.url), "utf8"),
);
let browser: Browser | undefined;

before(async () => {
  if (skip !== false) return;
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  });
});

after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** The address of a network's page, a file. */
function pageOf(name: string, graph: Graph): string {
  const program = compileProgram(graph, backend.target);
  const files = backend.emit(program, { name: cName(name), example: parts });
  const page = files.find((file) => file.name === "index.html") ?? assert.fail("no page");
  const file = path.join(folder, `${name}.html`);
  writeFileSync(file, page.content);
  return pathToFileURL(file).href;
}

/** Opens a page and does something with it; what it complains of fails, and whatever it asks for but itself. */
async function withPage(
  address: string,
  options: BrowserContextOptions,
  work: (page: Page) => Promise<void>,
): Promise<void> {
  assert(browser !== undefined);
  const context = await browser.newContext(options);
  context.setDefaultTimeout(30_000);
  try {
    const page = await context.newPage();
    const faults: string[] = [];
    page.on("pageerror", ({ message }) => faults.push(message));
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    page.on("dialog", (dialog) => {
      faults.push(dialog.message());
      return dialog.dismiss();
    });
    page.on("request", (request) => {
      if (!/^(data|blob):/.test(request.url()) && request.url() !== address) faults.push(request.url());
    });
    await page.goto(address);
    await page.locator('main[aria-busy="false"]').waitFor();
    await work(page);
    assert.deepEqual(faults, []);
  } finally {
    await context.close();
  }
}

const BEST = 5;
const names = Array.from({ length: 10 }, (_, index) => `class ${index}`);
const preprocessing = JSON.stringify(imagenetPreprocessing);

function classifier(classNames: readonly string[]): Graph {
  const metadata = [
    [PREPROCESSING_KEY, preprocessing],
    [CLASS_NAMES_KEY, JSON.stringify(classNames)],
  ] as const;
  return { ...tinyCnn(), metadata: new Map(metadata) };
}

interface FilePayload {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Buffer;
}

async function picture(name: string, width: number, height: number, seed: number): Promise<FilePayload> {
  const noise = Uint8Array.from({ length: 3 * width * height }, (_, place) => (place * place * seed) % 251);
  const image = sharp(noise, { raw: { width, height, channels: 3 } });
  if (name.endsWith(".png")) return { name, mimeType: "image/png", buffer: await image.png().toBuffer() };
  // On its side, as phones write photos; without loss, so that both decoders agree.
  const turned = image.withMetadata({ orientation: 6 }).webp({ lossless: true });
  return { name, mimeType: "image/webp", buffer: await turned.toBuffer() };
}

const choose = (page: Page, file: FilePayload) => page.locator("#file").setInputFiles(file);

/** What is said of a picture, once it is said. */
async function said(page: Page, of: string): Promise<string> {
  const status = page.locator("#status", { hasText: `${of}: ` });
  await status.waitFor({ state: "attached" });
  return (await status.textContent()) ?? "";
}

interface Bar {
  readonly name: string;
  readonly text: string;
  /** The bar's length, of 1. */
  readonly share: number;
}

const barsOf = (page: Page): Promise<readonly Bar[]> =>
  page.evaluate(`Array.from(document.querySelectorAll("#scores li"), (line) => ({
    name: line.querySelector("bdi").textContent,
    text: line.querySelector(".share").textContent,
    share: parseFloat(line.querySelector(".bar span").style.width) / 100,
  }))`);

/** What ONNX Runtime makes of a picture as Node reads it, most probable first. */
async function expectedScores(graph: Graph, file: FilePayload): Promise<readonly ClassScore[]> {
  const model = await load(wasmModule(compileProgram(graph, backend.target)));
  const { data, info } = await sharp(file.buffer).autoOrient().ensureAlpha().raw().toBuffer({
    resolveWithObject: true,
  });
  const numbers = model.prepare({ width: info.width, height: info.height, data });
  const feeds = new Map([["x", float32Tensor([1, 3, TINY_SIZE, TINY_SIZE], numbers)]]);
  const [output] = (await runGraph(graph, feeds)).values();
  const logits = [...float32Data(output ?? assert.fail("no output"))];
  const powers = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
  const sum = powers.reduce((all, power) => all + power);
  return powers
    .map((power, index) => ({ index, name: at(names, index), probability: power / sum }))
    .sort((a, b) => b.probability - a.probability);
}

/** Float32 sums in another order, through a softmax. */
const TOLERANCE = 1e-5;

/** A page's bars are a network's most probable classes. */
function assertBars(bars: readonly Bar[], expected: readonly ClassScore[]): void {
  assert.deepEqual(
    bars.map(({ name }) => name),
    expected.slice(0, BEST).map(({ name }) => name),
  );
  for (const [index, { text, share }] of bars.entries()) {
    const { probability } = at(expected, index);
    assert.ok(Math.abs(share - probability) < TOLERANCE, `${share} for ${probability}`);
    assert.match(text, /^\d+\.\d %$/);
    // Rounded to a tenth of a percent.
    assert.ok(Math.abs(Number.parseFloat(text) / 100 - probability) < 0.0005 + TOLERANCE, text);
  }
}

test("chosen, dropped and pasted pictures get ONNX Runtime's probabilities, with names and a time", {
  skip,
}, async () => {
  const graph = classifier(names);
  const permissions = ["clipboard-read", "clipboard-write"];
  await withPage(pageOf("tiny", graph), { permissions }, async (page) => {
    assert.equal(
      await page.locator("#about").innerText(),
      "x: float32 [1, 3, 16, 16] → gemm: float32 [1, 10]",
    );
    const chosen = await picture("one.png", 64, 48, 3);
    await choose(page, chosen);
    const answer = await said(page, "one.png");
    const expected = await expectedScores(graph, chosen);
    assertBars(await barsOf(page), expected);
    assert.ok(answer.startsWith(`one.png: ${at(expected, 0).name} `), answer);
    // The picture is shown, and how long it took.
    assert.deepEqual(
      await page.evaluate(
        "[document.getElementById(`picture`).width, document.getElementById(`picture`).height]",
      ),
      [64, 48],
    );
    await page.locator("#time", { hasText: /^One inference: (less than )?[\d.]+ ms/ }).waitFor();
    assert.equal(await page.locator("#note").innerText(), "one.png, 64 × 48");

    const dropped = await picture("two.webp", 9, 31, 4);
    await page.evaluate(`{
      const bytes = Uint8Array.from(atob("${dropped.buffer.toString("base64")}"), (letter) => letter.charCodeAt(0));
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([bytes], "two.webp", { type: "image/webp" }));
      const target = document.querySelector("h2");
      for (const type of ["dragover", "drop"])
        target.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    }`);
    await said(page, "two.webp");
    assertBars(await barsOf(page), await expectedScores(graph, dropped));
    assert.equal(await page.locator("#note").innerText(), "two.webp, 31 × 9");

    const pasted = await picture("three.png", 16, 16, 5);
    const base64 = pasted.buffer.toString("base64");
    await page.evaluate(`{
      const bytes = Uint8Array.from(atob("${base64}"), (letter) => letter.charCodeAt(0));
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File([bytes], "three.png", { type: "image/png" }));
      document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
    }`);
    await said(page, "three.png");
    assertBars(await barsOf(page), await expectedScores(graph, pasted));

    await page.evaluate(`(async () => {
      const file = await (await fetch("data:image/png;base64,${base64}")).blob();
      await navigator.clipboard.write([new ClipboardItem({ "image/png": file })]);
    })()`);
    await page.getByRole("button", { name: "Paste" }).click();
    await said(page, "The pasted picture");
    assertBars(await barsOf(page), await expectedScores(graph, pasted));
  });
});

test("what is no picture gets a sentence, and the answer before it stays", { skip }, async () => {
  await withPage(pageOf("broken", classifier(names)), {}, async (page) => {
    const good = await picture("good.png", 20, 20, 3);
    await choose(page, good);
    await said(page, "good.png");
    const bars = await barsOf(page);
    const problem = page.getByRole("alert");
    const cut = { ...good, name: "cut<b>off.png", buffer: good.buffer.subarray(0, 40) };
    await choose(page, cut);
    await problem.waitFor();
    assert.equal(
      await problem.innerText(),
      "cut<b>off.png is no picture that this browser can read (image/png, 40 bytes). " +
        "Expected JPEG, PNG, WebP, GIF or AVIF: save it as one of these.",
    );
    await choose(page, { name: "empty.png", mimeType: "image/png", buffer: Buffer.alloc(0) });
    await problem
      .filter({ hasText: "empty.png is no picture that this browser can read (it is empty)" })
      .waitFor();
    await choose(page, { name: "notes", mimeType: "", buffer: Buffer.from("a note") });
    await problem.filter({ hasText: /^notes is no picture/ }).waitFor();
    await page.evaluate(
      `document.dispatchEvent(new DragEvent("drop", { dataTransfer: new DataTransfer() }))`,
    );
    await problem.filter({ hasText: "What was dropped is no file" }).waitFor();
    await page.evaluate(
      `document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: new DataTransfer() }))`,
    );
    await problem.filter({ hasText: "no picture in the clipboard" }).waitFor();
    assert.deepEqual(await barsOf(page), bars);
    // A good one takes the sentence away.
    await choose(page, { ...good, name: "again.png" });
    await said(page, "again.png");
    assert.equal(await problem.isVisible(), false);
  });
});

test("names of classes are text, whatever they hold", { skip }, async () => {
  const hostile = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "\u202eevil\u2066",
    "a\0b\x1b[2J",
    "&lt;b&gt; ` {alert(3)}",
  ];
  const graph = classifier(names.map((_, index) => `${index} ${at(hostile, index % hostile.length)}`));
  const shown = hostile.map(withoutControls);
  await withPage(pageOf("hostile", graph), {}, async (page) => {
    await choose(page, await picture("<b>.png", 16, 16, 3));
    await said(page, "<b>.png");
    const bars = await barsOf(page);
    assert.equal(bars.length, BEST);
    for (const { name } of bars) {
      const [index = "", ...words] = name.split(" ");
      assert.equal(words.join(" "), shown[Number(index) % hostile.length]);
    }
    assert.equal(await page.locator("img, #scores b, #note b, script:not([type=module])").count(), 0);
  });
});

test("the camera: frame after frame, stopped by its button, its last picture stays", { skip }, async () => {
  await withPage(pageOf("camera", classifier(names)), { permissions: ["camera"] }, async (page) => {
    // Every stream that the page gets, and how many frames are under way at once.
    await page.evaluate(`{
      window.streams = [];
      const devices = navigator.mediaDevices;
      const ask = devices.getUserMedia.bind(devices);
      devices.getUserMedia = async (wanted) => (streams.push(await ask(wanted)), streams.at(-1));
      window.frames = { begun: 0, now: 0, most: 0 };
      const make = createImageBitmap;
      window.createImageBitmap = async (drawn, ...more) => {
        if (!(drawn instanceof HTMLVideoElement)) return make(drawn, ...more);
        frames.begun += 1;
        frames.most = Math.max(frames.most, ++frames.now);
        try { return await make(drawn); } finally { frames.now -= 1; }
      };
    }`);
    await page.getByRole("button", { name: "Use the camera" }).click();
    await page.locator("#time", { hasText: /^Each frame: [\d.]+ ms/ }).waitFor();
    while (((await page.evaluate("frames.begun")) as number) <= 3) await page.waitForTimeout(20);
    assert.ok(await page.locator("video").isVisible());
    assert.equal((await barsOf(page)).length, BEST);
    await page.getByRole("button", { name: "Stop the camera" }).click();
    await said(page, "The camera's last picture");
    await page.locator("#time", { hasText: /^One inference/ }).waitFor();
    assert.deepEqual(
      await page.evaluate("streams.flatMap((each) => each.getTracks().map((track) => track.readyState))"),
      ["ended"],
    );
    const frames = (await page.evaluate("frames")) as { readonly begun: number; readonly most: number };
    assert.equal(frames.most, 1);
    assert.ok(await page.locator("#picture").isVisible());
    await page.waitForTimeout(100);
    assert.equal(await page.evaluate("frames.begun"), frames.begun);
    // A chosen picture ends it too, and one that is refused says so.
    await page.getByRole("button", { name: "Use the camera" }).click();
    await page.locator("#time", { hasText: /^Each frame/ }).waitFor();
    await choose(page, await picture("one.png", 16, 16, 3));
    await said(page, "one.png");
    assert.equal(await page.evaluate("streams.length"), 2);
    assert.equal(await page.evaluate("streams[1].getTracks()[0].readyState"), "ended");
    await page.evaluate(
      `navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotFoundError"))`,
    );
    await page.getByRole("button", { name: "Use the camera" }).click();
    await page.getByRole("alert").filter({ hasText: "The camera cannot be used. There is none." }).waitFor();
  });
});

test("what is no row of scores is a table: shape, range, first values", { skip }, async () => {
  // Pictures to two outputs.
  const maps: Graph = {
    ...smallGraph(
      [1, 3, 4, 4],
      [node("Relu", ["x"], "map"), node("ReduceMean", ["x"], "mean"), node("Log", ["map"], "log")],
      {},
    ),
    outputs: ["map", "mean", "log"].map((name) => ({ name, type: undefined })),
    metadata: new Map([
      [PREPROCESSING_KEY, JSON.stringify({ ...imagenetPreprocessing, mean: [0, 0, 0], std: [1, 1, 1] })],
    ]),
  };
  const rows = (page: Page): Promise<readonly (readonly string[])[]> =>
    page.evaluate(
      `Array.from(document.querySelectorAll("tbody tr"), (row) => Array.from(row.cells, (cell) => cell.innerText))`,
    );
  await withPage(pageOf("maps", maps), {}, async (page) => {
    const buffer = await sharp({ create: { width: 8, height: 8, channels: 3, background: "#ff0000" } })
      .png()
      .toBuffer();
    await choose(page, { name: "red.png", mimeType: "image/png", buffer });
    await said(page, "red.png");
    assert.deepEqual(await rows(page), [
      ["map\n1 × 3 × 4 × 4", "0 to 1", "1, 1, 1, 1, 1, 1, …"],
      ["mean\n1 × 1 × 1 × 1", "0.3333 to 0.3333", "0.3333"],
      ["log\n1 × 3 × 4 × 4", "0 to 0 (32 not finite)", "0, 0, 0, 0, 0, 0, …"],
    ]);
    assert.equal(await page.locator("#scores li").count(), 0);
  });
  // No pictures at all.
  const sum = smallGraph([1, 3], [node("Neg", ["x"], "y")], {});
  await withPage(pageOf("numbers", sum), {}, async (page) => {
    const [[name, range, first] = []] = await rows(page);
    assert.equal(name, "y\n1 × 3");
    assert.match(range ?? "", /^−?\d.* to −?\d/);
    assert.equal(first?.split(", ").length, 3);
    assert.equal(await page.locator("#file").isVisible(), false);
    await page.getByRole("button", { name: "Other random numbers" }).click();
    assert.notEqual((await rows(page))[0]?.[2], first);
    await page.locator("#time", { hasText: /^One inference: / }).waitFor();
  });
});

test("a detector: boxes are drawn over the picture and listed, of the camera too", { skip }, async () => {
  const address = pageOf("squares", redSquareDetector());
  await withPage(address, { permissions: ["camera"] }, async (page) => {
    const painted = async (name: string, background: string): Promise<FilePayload> => {
      const square = sharp({ create: { width: 80, height: 80, channels: 3, background } }).png();
      const picture = sharp({ create: { width: 640, height: 320, channels: 3, background: "#000000" } });
      // Twice as wide as high: the model sees it between two bars.
      const drawn = picture.composite([{ input: await square.toBuffer(), left: 160, top: 80 }]).png();
      return { name, mimeType: "image/png", buffer: await drawn.toBuffer() };
    };
    const colourAt = (x: number, y: number): Promise<readonly number[]> =>
      page.evaluate(
        `Array.from(document.getElementById("picture").getContext("2d").getImageData(${x}, ${y}, 1, 1).data)`,
      );
    await choose(page, await painted("one.png", "#ff0000"));
    assert.match(await said(page, "one.png"), /^one\.png: 1 found: square 9\d\.\d %$/);
    const [bar, ...more] = await barsOf(page);
    assert.deepEqual([bar?.name, more], ["square", []]);
    await page.locator("#hint", { hasText: "1 found" }).waitFor();
    // Its edges are of another colour, which is neither the square's nor the background's, and nothing else is.
    for (const [x, y] of [
      [200, 159],
      [160, 120],
      [239, 120],
    ] as const) {
      const [red = 0, green = 0] = await colourAt(x, y);
      assert.ok(red > 100 && green > 40, `${x}, ${y}: ${red} ${green}`);
    }
    assert.deepEqual(await colourAt(200, 120), [255, 0, 0, 255]);
    assert.deepEqual(await colourAt(500, 200), [0, 0, 0, 255]);
    await page.locator("#time", { hasText: /^One inference/ }).waitFor();
    // Numbers are there for who asks.
    assert.equal(await page.locator("#numbers").getAttribute("open"), null);

    await choose(page, await painted("two.png", "#0000ff"));
    assert.equal(await said(page, "two.png"), "two.png: nothing was found");
    assert.equal(await page.locator("#scores li").count(), 0);
    assert.equal(await page.locator("#hint").innerText(), "Nothing was found in this picture.");

    await page.getByRole("button", { name: "Use the camera" }).click();
    await page.locator("#time", { hasText: /^Each frame/ }).waitFor();
    await page.locator("#picture").waitFor();
    assert.equal(await page.locator("video").isVisible(), false);
    await page.getByRole("button", { name: "Stop the camera" }).click();
    await said(page, "The camera's last picture");
  });
});

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
  }[];
}

test("a detector whose scores are no probabilities is a table with the reason, and one without class names says so", {
  skip,
}, async () => {
  const graph = redSquareDetector();
  const turned = { perm: ints([0, 2, 1]) };
  const two: Graph = {
    ...graph,
    nodes: [
      ...graph.nodes.filter(({ op }) => op !== "Concat"),
      node("Mul", ["scores", "many"], "logits"),
      node("Transpose", ["logits"], "scored", turned),
      node("Transpose", ["boxes"], "places", turned),
    ],
    outputs: ["places", "scored"].map((name) => ({ name, type: undefined })),
    initializers: new Map([...graph.initializers, ["many", float32Tensor([], [70])]]),
  };
  const picture = await sharp({ create: { width: 80, height: 80, channels: 3, background: "#ff0000" } })
    .png()
    .toBuffer();
  const file = { name: "red.png", mimeType: "image/png", buffer: picture };
  await withPage(pageOf("logits", two), {}, async (page) => {
    await choose(page, file);
    assert.match(await said(page, "red.png"), /the outputs are in the table/);
    const reason = await page.locator("#reason").innerText();
    assert.match(reason, /No boxes are drawn: .*"scored" are no probabilities: .*found 0\.00 to 70\.0/);
    assert.equal(await page.locator("#rows tr").count(), 2);
  });
  const nameless = {
    ...graph,
    metadata: new Map([...graph.metadata].filter(([key]) => key !== CLASS_NAMES_KEY)),
  };
  await withPage(pageOf("nameless", nameless), {}, async (page) => {
    await choose(page, file);
    assert.match(
      await page.locator("#reason").innerText(),
      /detector: which boxes outputs "y" \[1, 5, 64\] .*--classes FILE/,
    );
  });
});

test("accessible by axe-core and no wider than the window, light and dark, narrow and wide; by keyboard too", {
  skip,
}, async () => {
  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  const long = names.map((name) => `${name} ${"long".repeat(20)}`);
  const address = pageOf("accessible", classifier(long));
  const photo = await picture("photo.png", 300, 200, 3);
  const assertAccessible = async (page: Page, width: number, where: string): Promise<void> => {
    const { violations } = (await page.evaluate("axe.run()")) as AxeResult;
    const found = violations.map(({ id, nodes }) =>
      [id, nodes[0]?.html, nodes[0]?.failureSummary].join("\n"),
    );
    assert.deepEqual(found, [], where);
    assert.equal(await page.evaluate("document.documentElement.scrollWidth"), width, where);
  };
  await withPage(address, { colorScheme: "light", viewport: { width: 1600, height: 900 } }, async (page) => {
    await page.evaluate(axe);
    await assertAccessible(page, 1600, "light, empty");
    await choose(page, photo);
    await said(page, "photo.png");
    await page.locator("summary").click();
    await page.setViewportSize({ width: 380, height: 800 });
    await assertAccessible(page, 380, "light, answered");
    const image = await page.locator("#picture").boundingBox();
    assert.ok((image?.width ?? 0) > 100 && (image?.width ?? 0) < 380);
  });
  await withPage(address, { colorScheme: "dark", viewport: { width: 1600, height: 900 } }, async (page) => {
    await page.evaluate(axe);
    await choose(page, photo);
    await said(page, "photo.png");
    await assertAccessible(page, 1600, "dark, answered");
    await page.setViewportSize({ width: 380, height: 800 });
    await choose(page, { ...photo, buffer: photo.buffer.subarray(0, 30) });
    await page.getByRole("alert").waitFor();
    await assertAccessible(page, 380, "dark, a problem");
    const background = "getComputedStyle(document.body).backgroundColor";
    assert.equal(await page.evaluate(background), "rgb(16, 18, 21)");
  });
  await withPage(address, {}, async (page) => {
    const focused: string[] = [];
    for (let step = 0; step < 3; step++) {
      await page.keyboard.press("Tab");
      focused.push(await page.evaluate("document.activeElement.id"));
    }
    assert.deepEqual(focused, ["file", "paste", "camera"]);
    const box = await page.locator("label.button").boundingBox();
    assert.ok((box?.height ?? 0) >= 24);
  });
});

const FORMATS = ["jpeg", "webp", "png", "avif"] as const;

test("pictures in pages are upright as data sets are read, in every format and orientation, whatever the browser heeds", {
  skip,
}, async () => {
  // Large parts of one colour, which no compression changes much.
  const [width, height] = [32, 16];
  const pixels = Uint8Array.from({ length: 3 * width * height }, (_, place) => {
    const [x, y] = [Math.floor(place / 3) % width, Math.floor(place / 3 / width)];
    const parts = [x < 16, y < 8, x < 8 && y < 8];
    return at(parts, place % 3) ? 255 : 0;
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
  const blank = path.join(folder, "blank.html");
  const [, reader = ""] = parts;
  // Beside this browser one that does not heed the EXIF data of PNG files either.
  writeFileSync(
    blank,
    `<!doctype html><title>reader</title><link rel="icon" href="data:,"><main aria-busy="false">.</main>
<script>
const make = createImageBitmap;
async function heedless(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const text = String.fromCharCode(...bytes);
  const start = text.indexOf("eXIf") - 4;
  if (start < 0) return make(file);
  const size = 12 + new DataView(bytes.buffer).getUint32(start);
  return make(new Blob([bytes.slice(0, start), bytes.slice(start + size)]));
}
</script>
<script type="module">${reader}
window.read = async (addresses, isHeedless) => {
  window.createImageBitmap = isHeedless ? heedless : make;
  const found = [];
  for (const address of addresses) {
    const { width, height, data } = await readPicture(await (await fetch(address)).blob());
    found.push([width + "x" + height, Array.from(data).filter((_, place) => place % 4 < 3)]);
  }
  return found;
};
</script>`,
  );
  await withPage(pathToFileURL(blank).href, {}, async (page) => {
    for (const isHeedless of [false, true]) {
      const asked = isHeedless ? files.filter((file) => file.startsWith("data:image/png")) : files;
      const found: readonly (readonly [string, readonly number[]])[] = await page.evaluate(
        `read(${JSON.stringify(asked)}, ${isHeedless})`,
      );
      assert.equal(found.length, asked.length);
      const expected = upright.filter((_, index) => asked.includes(at(files, index)));
      expected.forEach(({ name, size, data }, index) => {
        const [seen, levels] = at(found, index);
        assert.equal(seen, size, name);
        // Decoders differ by some levels at edges, another orientation by half of the picture.
        const wrong = levels.filter((level, place) => Math.abs(level - at(data, place)) > 64).length;
        assert.ok(wrong < 0.1 * data.length, `${name}: ${wrong} of ${data.length}`);
      });
    }
  });
});
