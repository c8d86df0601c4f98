import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import type { LayerSensitivity, Sensitivity } from "../../src/method/sensitivity.js";
import { LiveServer } from "../../src/report/live_server.js";
import { sensitivityPage } from "../../src/report/sensitivity.js";
import { ReportSource } from "../../src/report/sources.js";
import { BreakableWay } from "../../support/breakable_way.js";
import { CHROMIUM, withoutChromium } from "../../support/browser.js";
import { appendEpoch, epoch, writeReportRun } from "../../support/report_run.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-report-page-"));
const at = (name: string): string => path.join(folder, name);
const skip = withoutChromium;
let browser: Browser | undefined;

/** The pages that there are, each as a file. */
const pages = ["run.html", "half.html", "several.html", "sensitivity.html"] as const;

before(async () => {
  if (skip !== false) return;
  await writeReportRun(at("run"));
  await writeReportRun(at("half"), { until: "decompose" });
  await new ReportSource([at("run")]).write(at("run.html"));
  await new ReportSource([at("half")]).write(at("half.html"));
  await new ReportSource([at("run"), at("half")]).write(at("several.html"));
  writeFileSync(
    at("sensitivity.html"),
    sensitivityPage("tiny.onnx", sensitivity, { model: "tiny.onnx", data: "synthetic" }),
  );
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
});

after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** Opens a page, does something with it and closes it; what the page complains of, or asks of others, fails. */
async function withPage(
  address: string,
  options: BrowserContextOptions,
  work: (page: Page, forgive: (fault: RegExp) => void) => Promise<void>,
): Promise<void> {
  assert(browser !== undefined);
  const context = await browser.newContext(options);
  try {
    const page = await context.newPage();
    const faults: string[] = [];
    const origin = new URL(address).origin;
    page.on("pageerror", (error) => faults.push(error.message));
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol !== "data:" && (url.origin !== origin || url.protocol === "https:"))
        faults.push(request.url());
      if (url.protocol === "file:" && request.url().split("#")[0] !== address) faults.push(request.url());
    });
    await page.goto(address);
    let forgiven: RegExp | undefined;
    await work(page, (fault) => {
      forgiven = fault;
    });
    assert.deepEqual(
      faults.filter((fault) => forgiven?.test(fault) !== true),
      [],
    );
  } finally {
    await context.close();
  }
}

const fileOf = (name: string): string => pathToFileURL(at(name)).href;
const wide = { viewport: { width: 1600, height: 1000 } };
const narrow = { viewport: { width: 380, height: 800 } };

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
  }[];
}

test("accessible, by axe-core: in light and dark, wide and narrow", { skip }, async () => {
  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  for (const name of pages) {
    for (const colorScheme of ["light", "dark"] as const) {
      for (const size of [wide, narrow]) {
        await withPage(fileOf(name), { ...size, colorScheme }, async (page) => {
          await page.evaluate(axe);
          const { violations } = (await page.evaluate("axe.run()")) as AxeResult;
          const found = violations.map(({ id, nodes }) =>
            [id, nodes[0]?.html, nodes[0]?.failureSummary].join("\n"),
          );
          assert.deepEqual(found, [], `${name} ${colorScheme} ${size.viewport.width}`);
        });
      }
    }
  }
});

test("no page is wider than its window, and none asks for anything", { skip }, async () => {
  for (const name of pages) {
    for (const size of [wide, narrow, { viewport: { width: 320, height: 700 } }]) {
      await withPage(fileOf(name), size, async (page) => {
        const width = await page.evaluate("document.documentElement.scrollWidth");
        assert.equal(width, size.viewport.width, name);
      });
    }
  }
});

test("without scripts everything is there: numbers, readings under the mouse, no dead controls", {
  skip,
}, async () => {
  await withPage(fileOf("run.html"), { ...wide, javaScriptEnabled: false }, async (page) => {
    assert(await page.getByText("Usable, but training longer is likely to pay").isVisible());
    assert.equal(await page.locator("input:visible, button:visible").count(), 0);
    assert.equal(await page.locator(".network tbody tr[data-name]:visible").count(), 5);
    await page.locator("#training svg.wide .hit").first().hover();
    await page.waitForTimeout(50);
    const opacity = await page.evaluate(
      'getComputedStyle(document.querySelector("#training svg.wide .at .tip")).opacity',
    );
    assert.equal(opacity, "1");
    await page.getByText("Numbers").first().click();
    assert(await page.locator("details[open] td").first().isVisible());
  });
});

test("layers are sorted and searched, curves read with arrow keys", { skip }, async () => {
  await withPage(fileOf("run.html"), wide, async (page) => {
    const names = (): Promise<string[]> =>
      page.locator("#layers tbody tr[data-name]:visible .layer-name").allTextContents();
    const original = await names();
    const heading = page.locator("#layers thead button", { hasText: "Multiply-accumulates" });
    await heading.click();
    const sorted = await names();
    assert.notDeepEqual(sorted, original);
    assert.equal(await page.locator("#layers th[aria-sort=descending]").count(), 1);
    await heading.click();
    await heading.click();
    assert.deepEqual(await names(), original);
    await page.locator("#layers input").fill("gemm");
    assert.deepEqual(
      (await names()).map((name) => name.toLowerCase().includes("gemm")),
      [true],
    );
    assert.equal(await page.locator("#layers output").textContent(), "1 of 5");
    const drawing = page.locator("#training figure.plot > svg.wide").first();
    await drawing.focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    assert.match((await drawing.locator(".at.on text").allTextContents()).join(" "), /epoch 2 .*75\.0/);
  });
});

test("on paper: no controls, every picture", { skip }, async () => {
  await withPage(fileOf("run.html"), wide, async (page) => {
    await page.emulateMedia({ media: "print" });
    assert.equal(await page.locator("nav:visible, input:visible, .command button:visible").count(), 0);
    const blank = await page
      .locator("img")
      .evaluateAll(
        (images) => images.filter((image) => !("naturalWidth" in image) || image.naturalWidth === 0).length,
      );
    assert.equal(blank, 0);
    assert((await page.pdf({ format: "A4" })).length > 10_000);
  });
});

test("a page that is served follows its run, through a lost connection, and shows everything anew", {
  skip,
}, async () => {
  await writeReportRun(at("live"), { until: "decompose" });
  const server = await LiveServer.start(new ReportSource([at("live")]));
  const way = new BreakableWay(Number(new URL(server.url).port));
  const address = new URL(server.url);
  address.port = `${await way.open()}`;
  const more = (number: number): Promise<void> =>
    appendEpoch(at("live"), epoch(number, { stage: "fine-tune", phase: "joint" }));
  // Two curves in the first chart.
  const rows = (page: Page): ReturnType<Page["locator"]> =>
    page.locator("#training details").first().locator("tbody tr");
  try {
    await withPage(address.href, wide, async (page, forgive) => {
      await page.locator("#training summary").first().click();
      assert.equal(await rows(page).count(), 8);
      await page.locator("#layers input").fill("conv");
      await more(2);
      await rows(page).nth(9).waitFor();
      // What was open and typed is so still.
      assert(await rows(page).first().isVisible());
      assert.equal(await page.locator("#layers input").inputValue(), "conv");
      await way.cut();
      await page.locator("#connection", { hasText: "not connected" }).waitFor();
      await more(3);
      await way.open();
      await rows(page).nth(11).waitFor();
      assert.equal(await page.locator("#connection").textContent(), "");
      forgive(/net::ERR_/);
    });
    await more(4);
    await withPage(address.href, wide, async (page) => {
      assert.equal(await rows(page).count(), 14);
    });
  } finally {
    await server.close();
    await way.cut();
  }
});

const effect = (difference: number) => ({
  ...{ difference, top1: 0.9 + difference, agreement: 1 + difference, errors: [Math.abs(difference)] },
});

const layer = (name: string, slope: number): LayerSensitivity => ({
  name,
  weightDims: [8, 8, 3, 3],
  ranks: [1, 2, 3, 9].map((d) => ({ d, ...effect(d === 9 ? 0 : -slope / d) })),
  basis: 5,
  sparsities: [0.25, 0.5, 0.9].map((sparsity) => ({ sparsity, ...effect(-slope * sparsity) })),
});

/** As if it had been measured. */
const sensitivity = {
  measure: "accuracy",
  images: 200,
  outputs: ["scores"],
  original: { top1: 0.9 },
  layers: [layer("/first/conv", 0.5), layer("/second/conv", 0.004), layer("/third/conv", 0.03)],
  skipped: [{ name: "/depthwise", weightDims: [8, 1, 3, 3], reason: "it has a kernel for each channel" }],
} as unknown as Sensitivity;
