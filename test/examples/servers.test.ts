import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import sharp from "sharp";
import { compileToWasm } from "../../src/compile/index.js";
import type { ClassScore } from "../../src/runtime/index.js";
import { colourClassifier, copyExample } from "./example.js";

/** An example with the colours' classifier as compiled/model.wasm. */
function withCompiled(name: string, packages: readonly string[] = []): string {
  const copy = copyExample(name, packages);
  mkdirSync(path.join(copy, "compiled"));
  writeFileSync(path.join(copy, "compiled/model.wasm"), compileToWasm(colourClassifier()));
  return copy;
}

const plain = (background: string): Promise<Buffer> =>
  sharp({ create: { width: 24, height: 20, channels: 3, background } })
    .jpeg()
    .toBuffer();

/** Ends a process as `docker stop` would; resolves with its exit status. */
async function stop(child: ChildProcess): Promise<unknown> {
  child.kill("SIGTERM");
  const [code] = await once(child, "exit");
  return code;
}

test("server: pictures in parallel, refusals, and an end without leftovers", async () => {
  const copy = withCompiled("server", ["sharp"]);
  const server = spawn(process.execPath, ["server.js", "compiled/model.wasm", "0"], {
    cwd: copy,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [address] = await once(createInterface(server.stdout), "line");
  const post = async (body: Uint8Array): Promise<Response> => fetch(address, { method: "POST", body });
  const colours = { red: "#f01010", green: "#10f010", blue: "#1010f0" };
  const asked = Array.from({ length: 10 }, () => Object.entries(colours)).flat();
  const answers = await Promise.all(
    asked.map(
      async ([, colour]) => (await (await post(await plain(colour))).json()) as readonly ClassScore[],
    ),
  );
  assert.deepEqual(
    answers.map(([best]) => best?.name),
    asked.map(([name]) => name),
  );
  const broken = await post(new Uint8Array(100));
  assert.equal(broken.status, 400);
  assert.match(await broken.text(), /problem/);
  assert.equal((await post(new Uint8Array(21 * 2 ** 20))).status, 413);
  assert.equal(await stop(server), 0);
});

/** What the worker of the edge's example exports. */
interface EdgeWorker {
  readonly default: { fetch(request: Request): Promise<Response> };
}

/**
 * The worker bundled as its host does it: .wasm files are imported compiled, and no bytes are compiled when it runs.
 */
async function edgeWorker(): Promise<EdgeWorker> {
  const copy = withCompiled("edge");
  const outfile = path.join(copy, "bundle.mjs");
  await build({
    entryPoints: [path.join(copy, "src/index.js")],
    bundle: true,
    format: "esm",
    platform: "browser",
    outfile,
    plugins: [
      {
        name: "compiled modules",
        setup: ({ onLoad }) =>
          onLoad({ filter: /\.wasm$/ }, ({ path: file }) => ({
            contents: `export default new WebAssembly.Module(Uint8Array.from(atob("${readFileSync(file, "base64")}"), (letter) => letter.charCodeAt(0)));`,
            loader: "js",
          })),
      },
    ],
  });
  return (await import(pathToFileURL(outfile).href)) as EdgeWorker;
}

test("edge: a compiled module answers to pixels, and refuses what is none", async () => {
  const { default: worker } = await edgeWorker();
  const at = "https://classifier.example/";
  const pixels = new Uint8Array(4 * 6 * 5).map((_, index) =>
    index % 4 === 2 ? 250 : index % 4 === 3 ? 255 : 5,
  );
  const ask = (query: string, body: Uint8Array): Promise<Response> =>
    worker.fetch(new Request(`${at}?${query}`, { method: "POST", body }));
  const [best] = (await (await ask("width=6&height=5", pixels)).json()) as readonly ClassScore[];
  assert.equal(best?.name, "blue");
  for (const query of ["width=6&height=4", "width=0&height=5", "width=6", "width=1e9&height=1e9"])
    assert.equal((await ask(query, pixels)).status, 400, query);
  assert.equal((await worker.fetch(new Request(at))).status, 405);
});
