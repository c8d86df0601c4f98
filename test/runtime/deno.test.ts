import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { compileToWasm } from "../../src/compile/index.js";
import { load } from "../../src/runtime/index.js";
import { smallNetwork } from "../../support/small_models.js";
import { withoutCommand } from "../compile/c/support.js";
import { largestDifference } from "./support.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-deno-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("the loader in Deno: a file's path and its bytes, as in Node", {
  skip: withoutCommand("deno"),
}, async () => {
  const file = path.join(folder, "small.wasm");
  writeFileSync(file, compileToWasm(smallNetwork()));
  const runtime = new URL("../../src/runtime/index.js", import.meta.url).href;
  const script = path.join(folder, "script.mjs");
  const lines = [
    `import { load } from ${JSON.stringify(runtime)};`,
    `const file = ${JSON.stringify(file)};`,
    "const results = [];",
    "for (const source of [file, await Deno.readFile(file)]) {",
    "  const model = await load(source);",
    "  const size = model.inputs[0].dims.reduce((a, b) => a * b, 1);",
    "  results.push([...model.run(new Float32Array(size).fill(0.5))]);",
    "}",
    "console.log(JSON.stringify(results));",
  ];
  writeFileSync(script, lines.join("\n"));
  const results = JSON.parse(execFileSync("deno", ["run", "--allow-read", script], { encoding: "utf8" }));
  const model = await load(file);
  const size = (model.inputs[0]?.dims ?? []).reduce((product, dim) => product * dim, 1);
  const expected = model.run(new Float32Array(size).fill(0.5));
  // Deno has relaxed SIMD where Node may not.
  for (const result of results) assert.ok(largestDifference(result, expected) < 1e-5);
});
