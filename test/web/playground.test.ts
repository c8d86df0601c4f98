import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import sharp from "sharp";
import { allocateImages, imagePixels } from "../../src/data/dataset.js";
import { readPicture } from "../../src/data/decode_picture.js";
import { runGraph } from "../../src/execute/node.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel, encodeModelWithData } from "../../src/onnx/write.js";
import { load } from "../../src/runtime/index.js";
import { CHROMIUM, withoutChromium } from "../../support/browser.js";
import { Network } from "../../support/network.js";
import { openPlayground, type Playground } from "../../support/playground.js";
import { projectRoot } from "../../support/shared.js";
import { TINY_SIZE, tinyCnn } from "../../support/tiny_cnn.js";
import { openNetwork } from "../../web/src/model/network.js";
import { generatedPictures, numbersOf } from "../../web/src/model/pictures.js";
import { redSquareDetector } from "../examples/red_square_detector.js";

const skip = withoutChromium;
const folder = mkdtempSync(path.join(tmpdir(), "penni-playground-test-"));
const at = (name: string): string => path.join(folder, name);
const EXAMPLE = path.join(projectRoot, "web/src/example/patterns.onnx");
const PICTURES = ["one.png", "two.jpg", "three.webp"].map(at);

let playground: Playground | undefined;
let browser: Browser | undefined;

before(async () => {
  if (skip !== false) return;
  writeFileSync(at("tiny.onnx"), encodeModel(tinyCnn()));
  for (const [index, file] of PICTURES.entries()) {
    const [width, height] = [40 + 7 * index, 31];
    const noise = Uint8Array.from(
      { length: 3 * width * height },
      (_, place) => (place * place * (index + 3)) % 251,
    );
    // The last one lies on its side, which Chromium by itself does not heed in WebP.
    const image = sharp(noise, { raw: { width, height, channels: 3 } });
    if (index < 2) await image.toFile(file);
    else await image.withMetadata({ orientation: 6 }).webp({ lossless: true }).toFile(file);
  }
  playground = await openPlayground();
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  });
});

after(async () => {
  await browser?.close();
  await playground?.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** Opens the page and does something with it. What it complains of fails, and whatever it asks for but its own files. */
async function withPage(options: BrowserContextOptions, work: (page: Page) => Promise<void>): Promise<void> {
  assert(browser !== undefined && playground !== undefined);
  const { url, missing } = playground;
  const context = await browser.newContext(options);
  context.setDefaultTimeout(60_000);
  try {
    const faults: string[] = [];
    // Those of workers too.
    await context.route("**", (route) => {
      const asked = route.request().url();
      if (asked.startsWith(url) && route.request().method() === "GET") return route.continue();
      faults.push(`asked for ${asked}`);
      return route.abort();
    });
    context.on("request", (request) => {
      if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(url))
        faults.push(`asked for ${request.url()}`);
    });
    const page = await context.newPage();
    page.on("pageerror", ({ message }) => faults.push(message));
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    await page.goto(url);
    await work(page);
    assert.deepEqual([...faults, ...missing], []);
  } finally {
    await context.close();
  }
}

const networkInput = (page: Page) => page.locator('input[accept^=".onnx"]');
const pictureInput = (page: Page) => page.locator('input[accept="image/*"]');
const slider = (page: Page, name: string) => page.getByRole("slider", { name, exact: true });

/** The figure on a card, once it is there. */
async function figure(page: Page, name: string): Promise<string> {
  const card = page.locator(".figure").filter({ has: page.getByRole("heading", { name, exact: true }) });
  await card.locator(".value:not(:has(.pending))").waitFor();
  return (await card.locator(".value").innerText()).replaceAll(/\s+/g, " ");
}

/** Waits until a figure is another one. */
async function changed(page: Page, name: string, before: string): Promise<string> {
  for (;;) {
    const now = await figure(page, name);
    if (now !== before) return now;
    await page.waitForTimeout(20);
  }
}

async function openExample(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Take the example" }).click();
  await figure(page, "Error of the output");
}

async function openTiny(page: Page): Promise<void> {
  await networkInput(page).setInputFiles(at("tiny.onnx"));
  await figure(page, "Error of the output");
}

async function download(page: Page, name: string): Promise<Buffer> {
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: `Download ${name}` }).click(),
  ]);
  return readFileSync(await file.path());
}

test("the built page is static files that know nothing of Node", { skip }, () => {
  assert(playground !== undefined);
  const files = readdirSync(playground.folder, { recursive: true }).map(String);
  const scripts = files.filter((file) => file.endsWith(".js"));
  assert.ok(scripts.length >= 4, `${scripts}`);
  for (const file of scripts) {
    const text = readFileSync(path.join(playground.folder, file), "utf8");
    assert.doesNotMatch(text, /browser-external|from\s*["'](node:|onnxruntime-node)/, file);
    // Comments and messages may name places, imports and fetches may not.
    assert.doesNotMatch(text, /(import|fetch)\(?\s*["'`]https?:/, file);
  }
  const page = readFileSync(path.join(playground.folder, "index.html"), "utf8");
  assert.match(page, /default-src 'none'/);
  assert.doesNotMatch(page, /(src|href)="\//);
});

test("the example: figures, layers and kernels follow the sliders", { skip }, async () => {
  await withPage({}, async (page) => {
    await openExample(page);
    const [file, macs, error] = [
      await figure(page, "File"),
      await figure(page, "Multiply-accumulates"),
      await figure(page, "Error of the output"),
    ];
    assert.match(error, /^\d+(\.\d)? %$/);
    await slider(page, "Sparsity").fill("0.8");
    const less = await changed(page, "Multiply-accumulates", macs);
    assert.notEqual(await changed(page, "File", file), file);
    assert.notEqual(await changed(page, "Error of the output", error), error);
    const number = (text: string): number => Number(/[\d.]+/.exec(text)?.[0]);
    assert.ok(number(less) < number(macs), `${less} after ${macs}`);
    assert.equal(await page.locator(".kernels article").count(), 7);
    assert.equal(await page.locator(".kernels article").first().locator("svg").count(), 5);
    await page.locator(".kernels summary").first().click();
    await page.locator(".kernels canvas").waitFor();
    // One layer's own basis.
    await page.getByRole("button", { name: "down1.conv/Conv" }).click();
    await slider(page, "d of down1.conv/Conv").fill("2");
    await page.locator(".kernels article", { hasText: "down1.conv/Conv" }).getByText("on 2").waitFor();
    // As it came: nothing to share, nothing removed, no error.
    await page.getByRole("button", { name: "All as above" }).click();
    await slider(page, "Sparsity").fill("0");
    await slider(page, "Basis kernels, d").fill("9");
    await page.getByText("No layer shares basis kernels").waitFor();
    assert.match(await figure(page, "Multiply-accumulates"), /the same/);
    assert.equal(await figure(page, "Error of the output"), "0.0 %");
  });
});

test("races, answers and files are those of the network that is shown", { skip }, async () => {
  await withPage({ acceptDownloads: true, permissions: ["camera"] }, async (page) => {
    await openExample(page);
    await page.getByRole("button", { name: "Compile and race" }).click();
    await page.locator(".headline").waitFor();
    assert.match(await page.locator(".headline").innerText(), /(as fast as|slower than) the original/);
    assert.equal(await page.locator(".lane .time").count(), 2);
    const [onnx, wasm, html] = [
      await download(page, ".onnx"),
      await download(page, ".wasm"),
      await download(page, "index.html"),
    ];
    assert.ok(html.toString().includes(wasm.toString("base64").slice(0, 4000)));
    // Of each picture what both say here.
    const opened = openNetwork(readFileSync(EXAMPLE));
    assert.ok(opened.kind === "network" && opened.network.pictures !== undefined);
    const { pictures, given } = opened.network;
    const small = decodeModel(new Uint8Array(onnx));
    const model = await load(wasm);
    const shown = await page.locator(".gallery .answers dd").allInnerTexts();
    const numbers = numbersOf(generatedPictures(pictures, 24), pictures);
    assert.equal(shown.length, 2 * numbers.length);
    for (const [index, picture] of numbers.entries()) {
      const answers = [await scores(given, picture), await scores(small, picture)];
      answers.push([...model.run(picture)]);
      for (const [place, value] of (answers[1] ?? []).entries())
        assert.ok(Math.abs(value - (answers[2]?.[place] ?? 0)) < 1e-3);
      const names = model.classNames ?? [];
      const [first, second] = answers.map((each) => names[each.indexOf(Math.max(...each))]);
      assert.ok(shown[2 * index]?.startsWith(`${first} `), `${shown[2 * index]}, not ${first}`);
      assert.ok(shown[2 * index + 1]?.startsWith(`${second} `), `${shown[2 * index + 1]}, not ${second}`);
    }
    await page.getByRole("button", { name: "Look through the camera" }).click();
    await page.locator(".camera .answers").waitFor();
    await page.getByRole("button", { name: "Camera off" }).click();
    // Another network than the one that was raced.
    await slider(page, "Sparsity").fill("0.5");
    await page.locator(".headline").waitFor({ state: "detached" });
  });
});

test("a detector: its boxes stand over each picture, the original's and the changed one's", {
  skip,
}, async () => {
  const [model, photo, night] = [at("squares.onnx"), at("squares.png"), at("night.png")];
  writeFileSync(model, encodeModel(redSquareDetector()));
  const square = { create: { width: 80, height: 80, channels: 3, background: "#ff0000" } } as const;
  const dark = sharp({ create: { width: 320, height: 320, channels: 3, background: "#000000" } });
  await dark.clone().toFile(night);
  await dark
    .composite([
      { input: square, left: 80, top: 40 },
      { input: square, left: 200, top: 200 },
    ])
    .toFile(photo);
  await withPage({}, async (page) => {
    await networkInput(page).setInputFiles(model);
    await figure(page, "Error of the output");
    await pictureInput(page).setInputFiles([photo, night]);
    await page.getByText("2 of your pictures").waitFor();
    await page.getByRole("button", { name: "Compile and race" }).click();
    await page.locator(".headline").waitFor();
    const cards = page.locator(".gallery figure");
    // Four cells of 8 pixels are in each square of 16 pixels as the network sees it.
    const boxes = cards.first().locator(".boxes rect");
    const places = await boxes.evaluateAll((rects) =>
      rects.map((rect) =>
        ["class", "x", "y", "width", "height"].map((name) => rect.getAttribute(name)).join(" "),
      ),
    );
    const cells = [
      [16, 8],
      [40, 40],
    ].flatMap(([x = 0, y = 0]) =>
      [0, 1, 2, 3].map((cell) => `${x + 8 * (cell % 2)} ${y + 8 * Math.floor(cell / 2)} 8 8`),
    );
    for (const kind of ["dashed", "solid"])
      assert.deepEqual(
        places.filter((each) => each.startsWith(kind)).toSorted(),
        cells.map((cell) => `${kind} ${cell}`).toSorted(),
      );
    const [first, second] = await cards.first().locator("dd").allInnerTexts();
    assert.match(first ?? "", /^square (9\d|100)\s?% and 7 more$/);
    assert.equal(second, first);
    assert.deepEqual(await cards.last().locator("dd").allInnerTexts(), ["nothing found", "nothing found"]);
  });
});

/** A picture as a data set holds it, pixel by pixel. */
async function levelsOf(file: string): Promise<readonly number[]> {
  const images = allocateImages({ count: 1, channels: 3, height: TINY_SIZE, width: TINY_SIZE });
  await readPicture({ files: [file], images, fit: {} }, 0);
  const area = TINY_SIZE ** 2;
  return Array.from({ length: 3 * area }, (_, place) => {
    const level = imagePixels(images, 0)[(place % 3) * area + Math.floor(place / 3)];
    return level ?? assert.fail("no pixel");
  });
}

async function scores(graph: Graph, picture: Float32Array): Promise<readonly number[]> {
  const tensor = float32Tensor([1, 3, 32, 32], picture);
  const [found] = (await runGraph(graph, new Map([[graph.inputs[0]?.name ?? "", tensor]]))).values();
  return found === undefined ? [] : [...float32Data(found)];
}

test("calibrates on the user's pictures, and can be stopped", { skip }, async () => {
  await withPage({}, async (page) => {
    await openTiny(page);
    await pictureInput(page).setInputFiles(PICTURES);
    await page.getByText("3 of your pictures").waitFor();
    assert.equal(await page.locator(".gallery canvas").count(), 3);
    // Of what is stored without loss the network gets what data sets are read as, to the bit.
    for (const index of [0, 2]) {
      const shown: readonly number[] = await page.evaluate(`(() => {
        const canvas = document.querySelectorAll(".gallery canvas")[${index}];
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return Array.from(data).filter((_, place) => place % 4 < 3);
      })()`);
      assert.deepEqual(shown, await levelsOf(PICTURES[index] ?? ""), `${PICTURES[index]}`);
    }
    const before = await figure(page, "Multiply-accumulates");
    await page.getByRole("button", { name: "Calibrate on your 3 pictures" }).click();
    await page.getByText("calibrated on 3 pictures").waitFor();
    const after = await changed(page, "Multiply-accumulates", before);
    // At most half of what it was.
    assert.ok(Number(/([\d.]+)× less/.exec(after)?.[1]) >= 2, after);
    await figure(page, "Error of the output");
    await slider(page, "Sparsity").fill("0.5");
    await page.getByRole("button", { name: "Show the one of 50" }).click();
    await page.getByText("calibrated on 3 pictures").waitFor();
    await page.getByRole("button", { name: "Calibrate on your 3 pictures" }).click();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Calibrate on your 3 pictures" }).waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
  });
});

test("what cannot be read is said, with what to do, and the page goes on", { skip }, async () => {
  const whole = encodeModel(tinyCnn());
  writeFileSync(at("half.onnx"), whole.subarray(0, whole.length / 2));
  writeFileSync(at("weights.onnx"), "PK\u0003\u0004 a zip file of PyTorch");
  writeFileSync(at("text.png"), "no picture");
  const graph = tinyCnn();
  const inputs = graph.inputs.map((input) => ({
    ...input,
    type: { elementType: "float32" as const, shape: ["batch", 3, "height", "width"] },
  }));
  const outputs = graph.outputs.map((output) => ({ ...output, type: undefined }));
  writeFileSync(at("open.onnx"), encodeModel({ ...graph, inputs, outputs }));
  const { model, data } = encodeModelWithData(graph, "apart.onnx.data");
  writeFileSync(at("apart.onnx"), model);
  writeFileSync(at("apart.onnx.data"), Buffer.concat(data));
  await withPage({}, async (page) => {
    for (const name of ["half.onnx", "weights.onnx"]) {
      await networkInput(page).setInputFiles(at(name));
      const text = await page.getByRole("alert").innerText();
      assert.ok(text.length > 20 && !/undefined|should not/.test(text), text);
    }
    // Weights in a file of their own, first without it.
    await networkInput(page).setInputFiles(at("apart.onnx"));
    await page.getByRole("alert").getByText('in another file, "apart.onnx.data"').waitFor();
    await networkInput(page).setInputFiles([at("apart.onnx.data"), at("apart.onnx")]);
    await figure(page, "Error of the output");
    await networkInput(page).setInputFiles(at("open.onnx"));
    await page.getByLabel("Height").fill(`${TINY_SIZE}`);
    await page.getByLabel("Width").fill(`${TINY_SIZE}`);
    await page.getByRole("button", { name: "Go on" }).click();
    await figure(page, "Error of the output");
    assert.equal(await page.getByRole("alert").count(), 0);
    await pictureInput(page).setInputFiles([at("text.png"), ...PICTURES]);
    assert.match(await page.getByRole("alert").innerText(), /text\.png.*no picture/);
  });
});

test("a network that takes no pictures is tried on random numbers", { skip }, async () => {
  const net = new Network(2, [12]);
  writeFileSync(at("numbers.onnx"), encodeModel(net.graph([net.gemm(net.relu(net.gemm("x", 9)), 4)])));
  await withPage({}, async (page) => {
    await networkInput(page).setInputFiles(at("numbers.onnx"));
    assert.equal(await figure(page, "Error of the output"), "0.0 %");
    await page.getByText("it is tried on random numbers").waitFor();
    assert.ok(await slider(page, "Basis kernels, d").isDisabled());
    await page.getByRole("button", { name: "Compile and race" }).click();
    await page.locator(".headline").waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
  });
});

test("a file of 100 MB is read with a bar, on a page that goes on", { skip }, async () => {
  const net = new Network(1, [5000]);
  writeFileSync(at("large.onnx"), encodeModel(net.graph([net.gemm("x", 5000)])));
  await withPage({}, async (page) => {
    await page.evaluate(`globalThis.values = new Set();
      new MutationObserver(() => {
        const bar = document.querySelector("progress[value]");
        if (bar !== null) values.add(bar.value);
      }).observe(document, { subtree: true, childList: true, attributes: true });`);
    await networkInput(page).setInputFiles(at("large.onnx"));
    await page.getByRole("heading", { name: "What it costs" }).waitFor();
    assert.ok(Number(await page.evaluate("values.size")) > 5);
    // Another one does not wait for it.
    await openTiny(page);
    assert.match(await page.getByRole("heading", { level: 2 }).first().innerText(), /tiny/);
  });
});

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
  }[];
}

test("accessible by axe-core and no wider than the window: light and dark, wide and narrow", {
  skip,
}, async () => {
  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  await withPage({}, async (page) => {
    const check = async (state: string): Promise<void> => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        for (const width of [1600, 380, 320]) {
          await page.setViewportSize({ width, height: 900 });
          assert.equal(
            await page.evaluate("document.documentElement.scrollWidth"),
            width,
            `${state} ${width}`,
          );
          if (width === 320) continue;
          // Colours fade from one to the other, from the next frame on.
          await page.evaluate(
            "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))" +
              ".then(() => Promise.all(document.getAnimations().map((each) => each.finished)))",
          );
          const { violations } = (await page.evaluate("axe.run()")) as AxeResult;
          const found = violations.map(({ id, nodes }) =>
            [id, nodes[0]?.html, nodes[0]?.failureSummary].join("\n"),
          );
          assert.deepEqual(found, [], `${state} ${colorScheme} ${width}`);
        }
      }
    };
    await page.evaluate(axe);
    await check("start");
    await openTiny(page);
    await page.locator("table.layers button").first().click();
    await page.locator(".kernels summary").first().click();
    await page.getByRole("button", { name: "Compile and race" }).click();
    await page.locator(".headline").waitFor();
    await check("raced");
  });
});
