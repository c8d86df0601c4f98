import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { after, before, test } from "node:test";
import { type Browser, chromium, type Page } from "playwright-core";
import sharp from "sharp";
import { build, preview } from "vite";
import { at } from "../../src/graph/at.js";
import type { Graph } from "../../src/graph/types.js";
import { CHROMIUM, withoutChromium } from "../../support/browser.js";
import { projectRoot } from "../../support/shared.js";
import { colourClassifier, copyExample, placeModel } from "./example.js";
import { redSquareDetector } from "./red_square_detector.js";

const skip = withoutChromium;
let browser: Browser | undefined;
before(async () => {
  if (skip !== false) return;
  const camera = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"];
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", ...camera] });
});
after(() => browser?.close());

/** Builds an example as `npm run build` does and shows it; whatever it complains of fails. */
async function withBuilt(name: string, model: Graph, work: (page: Page) => Promise<void>): Promise<void> {
  assert(browser !== undefined);
  const root = copyExample(name, ["vite"]);
  placeModel(root, "src/model.onnx", model);
  execFileSync(path.join(projectRoot, "node_modules/.bin/tsc"), ["-p", root], { stdio: "pipe" });
  await build({ root, logLevel: "error" });
  const server = await preview({ root, logLevel: "error", preview: { port: 0, host: "127.0.0.1" } });
  const page = await browser.newPage();
  // Browsers ask every site for it.
  await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }));
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  try {
    await page.goto(at(server.resolvedUrls?.local ?? [], 0));
    await work(page);
    assert.deepEqual(faults, []);
  } finally {
    await page.close();
    await server.close();
  }
}

/** Chooses a picture, a PNG file's bytes. @returns the lines that the page shows for it */
async function answersTo(page: Page, buffer: Buffer): Promise<readonly string[]> {
  await page.locator("#file:not([disabled])").setInputFiles({ name: "a.png", mimeType: "image/png", buffer });
  await page.locator("li").first().waitFor();
  return page.locator("li").allInnerTexts();
}

test("page: a picture is shown with what it is", { skip }, () =>
  withBuilt("page", colourClassifier(), async (page) => {
    const buffer = await sharp({ create: { width: 40, height: 30, channels: 3, background: "#10e020" } })
      .png()
      .toBuffer();
    const lines = await answersTo(page, buffer);
    // Softmax of ten times the means of red, green and blue.
    assert.match(at(lines, 0), /^green: 99\.\d %/);
    assert.equal(lines.length, 3);
  }),
);

test("background: frames of a camera are classified by a worker", { skip }, () =>
  withBuilt("background", colourClassifier(), async (page) => {
    await page.locator("#start").click();
    await page.locator("#answer", { hasText: /^(red|green|blue): \d+ %$/ }).waitFor();
    assert.equal(page.workers().length, 1);
  }),
);

test("detector: boxes are drawn where the squares are", { skip }, () =>
  withBuilt("detector", redSquareDetector(), async (page) => {
    // Twice as wide as high: the model sees it between two bars.
    const square = {
      input: { create: { width: 80, height: 80, channels: 3, background: "#ff0000" } },
    } as const;
    const buffer = await sharp({ create: { width: 640, height: 320, channels: 3, background: "#000000" } })
      .composite([{ ...square, left: 160, top: 80 }])
      .png()
      .toBuffer();
    // Its edges are smoothed when the picture is made smaller, so that its mean is a little less than 1.
    const lines = await answersTo(page, buffer);
    assert.equal(lines.length, 1);
    assert.match(at(lines, 0), /^square: 9\d % at 160, 80, 80 x 80$/);
  }),
);
