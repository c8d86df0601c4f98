import assert from "node:assert/strict";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { chromium } from "playwright-core";
import { build, createServer, type InlineConfig } from "vite";
import { runGraph } from "../../src/execute/node.js";
import { at } from "../../src/graph/at.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { elementCount, float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { encodeModel } from "../../src/onnx/write.js";
import { load } from "../../src/runtime/index.js";
import penni from "../../src/vite/index.js";
import { CHROMIUM, withoutChromium } from "../../support/browser.js";
import { projectRoot } from "../../support/shared.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-vite-"));
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

/** A site of its own, in which penni is installed, and its settings for Vite. */
function site(name: string, files: Readonly<Record<string, string | Uint8Array>>): InlineConfig {
  const root = path.join(folder, name);
  mkdirSync(path.join(root, "node_modules"), { recursive: true });
  symlinkSync(projectRoot, path.join(root, "node_modules/penni"));
  for (const [file, content] of Object.entries(files)) writeFileSync(path.join(root, file), content);
  return { root, configFile: false, logLevel: "silent", plugins: [penni()] };
}

const model = fixBatch(tinyCnn(), 1);
const page = `<!doctype html><title>wait</title><script type="module" src="/main.js"></script>`;

/** The sum of what a model answers to ones is the page's title. */
const script = `
  import loadTiny from "./tiny.onnx?penni";
  const tiny = await loadTiny();
  const [{ dims }] = tiny.inputs;
  const ones = new Float32Array(dims.reduce((count, dim) => count * dim, 1)).fill(1);
  document.title = tiny.run(ones).reduce((sum, score) => sum + score, 0).toFixed(3);`;

/** The same by ONNX Runtime. */
async function expected(graph: Graph): Promise<number> {
  const input = at(graph.inputs, 0);
  const dims = (input.type?.shape ?? []).map(Number);
  const ones = float32Tensor(dims, new Float32Array(elementCount(dims)).fill(1));
  const outputs = await runGraph(graph, new Map([[input.name, ones]]));
  const scores = outputs.get(at(graph.outputs, 0).name);
  assert(scores !== undefined);
  return float32Data(scores).reduce((sum, score) => sum + score, 0);
}

/** The model with its last bias moved, so that it says something else. */
function changed(graph: Graph): Graph {
  const initializers = new Map(graph.initializers);
  for (const [name, tensor] of initializers)
    if (tensor.dims.length === 1 && tensor.dims[0] === 10)
      initializers.set(
        name,
        float32Tensor(
          tensor.dims,
          float32Data(tensor).map((value) => value + 1),
        ),
      );
  return { ...graph, initializers };
}

const wasmFiles = (directory: string): readonly string[] =>
  readdirSync(directory).filter((name) => name.endsWith(".wasm"));

test("a site is built with the compiled model as an asset, compiled once", async () => {
  const config = site("built", { "index.html": page, "main.js": script, "tiny.onnx": encodeModel(model) });
  const root = path.join(folder, "built");
  const assets = path.join(root, "dist/assets");
  const cache = path.join(root, "node_modules/.vite/penni");
  await build(config);
  const [first = ""] = wasmFiles(assets);
  assert.match(first, /^tiny-/);
  const network = await load(readFileSync(path.join(assets, first)));
  const ones = new Float32Array(elementCount(at(network.inputs, 0).dims)).fill(1);
  const sum = network.run(ones).reduce((total, score) => total + score, 0);
  assert.ok(Math.abs(sum - (await expected(model))) < 1e-3);

  const kept = readFileSync(path.join(cache, at(wasmFiles(cache), 0)));
  // Another build takes what is kept, whatever it is: the mark shows it.
  writeFileSync(path.join(cache, at(wasmFiles(cache), 0)), Buffer.concat([kept, Buffer.from("mark")]));
  await build(config);
  const [second = ""] = wasmFiles(assets);
  assert.ok(readFileSync(path.join(assets, second)).toString("latin1").endsWith("mark"));

  writeFileSync(path.join(root, "tiny.onnx"), encodeModel(changed(model)));
  await build(config);
  assert.equal(wasmFiles(cache).length, 2);
});

test("a page in development shows the model, and its next version", { skip: withoutChromium }, async () => {
  const config = site("served", { "index.html": page, "main.js": script, "tiny.onnx": encodeModel(model) });
  const server = await createServer({ ...config, server: { port: 0, host: "127.0.0.1" } });
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  try {
    await server.listen();
    const tab = await browser.newPage();
    const title = async (sum: number): Promise<void> => {
      await tab.waitForFunction(
        (text) => (globalThis as unknown as Page).document.title === text,
        sum.toFixed(3),
      );
    };
    await tab.goto(at(server.resolvedUrls?.local ?? [], 0));
    await title(await expected(model));
    writeFileSync(path.join(folder, "served/tiny.onnx"), encodeModel(changed(model)));
    await title(await expected(changed(model)));
  } finally {
    await browser.close();
    await server.close();
  }
});

/** The part of a page that is used; the project compiles without the browser's types. */
interface Page {
  readonly document: { readonly title: string };
}

test("open dimensions are given in the import, and what is wrong stops the build with its reason", async () => {
  const open = {
    ...model,
    inputs: model.inputs.map((input) => ({
      ...input,
      type: { elementType: "float32" as const, shape: [1, 3, "height", "width"] },
    })),
  };
  const importing = (query: string): string => script.replace("?penni", query);
  const built = async (name: string, query: string, bytes = encodeModel(open)): Promise<unknown> =>
    build(site(name, { "index.html": page, "main.js": importing(query), "tiny.onnx": bytes }));
  const input = at(model.inputs, 0);
  const shape = (input.type?.shape ?? []).join("x");
  await built("shape", `?input=${input.name}:${shape}&penni`);
  await assert.rejects(built("no-shape", "?penni"), /tiny\.onnx.*dimension/);
  await assert.rejects(
    built("no-dims", "?input=x:1xZ&penni"),
    /tiny\.onnx.*expected \?penni.*found input=x:1xZ/,
  );
  await assert.rejects(built("unknown", "?penny=1&penni"), /tiny\.onnx.*found \?penny/);
  await assert.rejects(built("broken", "?penni", new Uint8Array(100).fill(255)), /tiny\.onnx/);
});
