import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { runInNewContext } from "node:vm";
import { compileToWasm } from "../../src/compile/index.js";
import { load, type Source } from "../../src/runtime/index.js";
import { smallNetwork } from "../../support/small_models.js";
import { randomData } from "./support.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-load-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const small = compileToWasm(smallNetwork());
const file = path.join(folder, "small model.wasm");
writeFileSync(file, small);

const server = createServer((request, response) => {
  if (request.url !== "/small.wasm") response.writeHead(404);
  response.end(request.url === "/small.wasm" ? small : "no such thing");
});
let origin = "";
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => server.close());

const behindOthers = new Uint8Array(small.length + 20);
behindOthers.set(small, 7);

/** The same bytes made in another realm, as from another frame. */
const foreign = runInNewContext("Uint8Array.from(bytes)", { bytes: Array.from(small) }) as Uint8Array;

const sources: readonly (readonly [string, () => Source | Promise<Source>])[] = [
  ["bytes", () => small],
  ["a part of a buffer", () => behindOthers.subarray(7, 7 + small.length)],
  ["a buffer", () => small.slice().buffer],
  ["a DataView", () => new DataView(small.slice().buffer)],
  ["bytes of another realm", () => foreign],
  ["a buffer of another realm", () => foreign.buffer as ArrayBuffer],
  ["a promise of bytes", () => Promise.resolve(small)],
  ["a URL", () => new URL(`${origin}/small.wasm`)],
  ["a URL as text", () => `${origin}/small.wasm`],
  ["a response", async () => fetch(`${origin}/small.wasm`)],
  ["a blob", () => new Blob([small.slice()])],
  ["a data URL", () => `data:application/wasm;base64,${Buffer.from(small).toString("base64")}`],
  ["a file URL", () => pathToFileURL(file)],
  ["a file URL as text", () => pathToFileURL(file).href],
  ["a path", () => file],
  ["a relative path", () => path.relative(process.cwd(), file)],
];

const input = randomData(128, 1);
const expected = (await load(small)).run(input);

for (const [what, source] of sources) {
  test(`loads from ${what}`, async () => {
    assert.deepEqual((await load(source())).run(input), expected);
  });
}

test("nothing that can be loaded: what was expected and what was found", async () => {
  const refused = (source: unknown, message: RegExp) =>
    assert.rejects(async () => load(source as Source), { message });
  await refused(undefined, /^load: expected bytes, a URL or a Response, found Undefined$/);
  await refused({}, /found Object$/);
  await refused([1, 2, 3], /found Array$/);
  await refused(new Uint8Array(0), /^load: expected a module written by penni compile, found 0 bytes/);
  await refused(new TextEncoder().encode("<!doctype html>"), /found 15 bytes \(3c 21 64 6f \.\.\.\)$/);
  await refused(`${origin}/other.wasm`, /^cannot load http.*other\.wasm: HTTP status 404$/);
  await refused(fetch(`${origin}/other.wasm`), /HTTP status 404/);
  await refused("http://127.0.0.1:1/", /^cannot load http:\/\/127\.0\.0\.1:1\/: /);
  await refused(path.join(folder, "none.wasm"), /^cannot load .*none\.wasm: ENOENT/);
  // A module of somebody else's: the header alone.
  await refused(small.subarray(0, 8), /^load: expected a module written by penni compile, found 8 bytes/);
});

test("cut off or damaged at any place: an error or a model, never a crash", async () => {
  for (let length = 1; length < small.length; length += Math.ceil(small.length / 60)) {
    await assert.rejects(async () => load(small.subarray(0, length)), Error);
  }
  for (let at = 8; at < small.length; at += Math.ceil(small.length / 60)) {
    const damaged = small.slice();
    damaged[at] = (damaged[at] ?? 0) ^ 0x55;
    // Not run: damaged code may be valid and never end.
    await load(damaged).catch((error) => assert.ok(error instanceof Error));
  }
});

/** Node's own, which the types of Node leave to those of the browser. */
const { Module } = (
  globalThis as unknown as {
    readonly WebAssembly: { readonly Module: new (bytes: Uint8Array) => object };
  }
).WebAssembly;

test("a compiled module is taken as it is", async () => {
  const bytes = compileToWasm(smallNetwork(1));
  const module = new Module(bytes.slice());
  const model = await load(module);
  const input = randomData(2 * 8 * 8, 4);
  const same = await load(bytes, { relaxed: false });
  assert.deepEqual(model.run(input), same.run(input));
  assert.equal(model.relaxed, false);
  await assert.rejects(load(module, { verify: true }), /verify needs the module's bytes/);
  const other = new Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
  await assert.rejects(load(other), /expected a module written by penni compile/);
});
