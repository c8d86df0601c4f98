import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Backend, EmittedFile } from "../../src/compile/backend.js";
import { loadBackend, targetNames, targetProducts } from "../../src/compile/backends.js";
import { checkName } from "../../src/compile/c/names.js";
import { compileProgram } from "../../src/compile/compile.js";
import { base64 } from "../../src/compile/wasm/base64.js";
import { PenniError } from "../../src/graph/errors.js";
import { tinyCnn } from "../../support/tiny_cnn.js";
import "./self_checked.js";

// What holds of every back end, whatever its name.

const name = checkName("net");
const programOf = ({ target }: Backend) => compileProgram(tinyCnn(), target);

/** What an example holds, as the command line reads it. */
const partsOf = ({ exampleParts }: Backend): readonly string[] =>
  exampleParts.map((part) => readFileSync(new URL(`../../src/${part}`, import.meta.url), "utf8"));

function assertFiles(files: readonly EmittedFile[]): void {
  const names = files.map((file) => file.name);
  assert.equal(new Set(names).size, names.length, names.join(", "));
  for (const file of files) {
    assert.match(file.name, /^[\w-]+(?:\.[a-z]+)?$/);
    assert.ok(file.content.length > 0, file.name);
  }
}

for (const target of targetNames) {
  test(`${target}: files that begin with the name, the same each time`, async () => {
    const backend = await loadBackend(target);
    const files = backend.emit(programOf(backend), { name });
    assertFiles(files);
    assert.ok(files.length > 0 && files.every((file) => file.name.startsWith("net")));
    assert.deepEqual(backend.emit(programOf(backend), { name }), files);
  });

  test(`${target}: the first place of the weights is the default, each other makes other files`, async () => {
    const backend = await loadBackend(target);
    const program = programOf(backend);
    const kinds = backend.weightPlaces.map((weights) => backend.emit(program, { name, weights }));
    for (const files of kinds) assertFiles(files);
    if (kinds.length > 0) assert.deepEqual(kinds[0], backend.emit(program, { name }));
    const sizes = kinds.map((files) => files.map((file) => `${file.name} ${file.content.length}`).join());
    assert.equal(new Set(sizes).size, sizes.length);
  });

  test(`${target}: an example comes beside the files, which stay as they are`, async () => {
    const backend = await loadBackend(target);
    const program = programOf(backend);
    const plain = backend.emit(program, { name });
    const shown = backend.emit(program, { name, example: partsOf(backend) });
    assertFiles(shown);
    assert.ok(shown.length > plain.length);
    assert.deepEqual(shown.slice(0, plain.length), plain);
  });

  test(`${target}: says how what it emits is made to run`, async () => {
    const backend = await loadBackend(target);
    const { execution } = backend;
    const program = programOf(backend);
    switch (execution.kind) {
      case "module": {
        const { inputs, outputs } = execution.ports(program);
        assert.deepEqual([inputs.length, outputs.length], [program.inputs.length, program.outputs.length]);
        assert.ok(execution.module(program, { isBare: true }).length < execution.module(program).length);
        return;
      }
      case "linked": {
        const { sources } = execution.build(name);
        const written = backend.emit(program, { name }).map((file) => file.name);
        assert.ok(sources.length > 0 && sources.every((source) => written.includes(source)));
        return;
      }
      case "addon": {
        const written = backend.emit(program, { name }).map((file) => file.name);
        for (const processor of ["x86_64", "aarch64", "riscv64"]) {
          const made = execution.build(name, { processor, isApple: false });
          assert.deepEqual(made.sources, written);
          assert.equal(made.file, "net.node");
          assert.equal(made.objects.length, made.instructionSets.length + 1);
          const objects = made.objects.map(({ options }) => options.at(-1));
          assert.ok(objects.every((object) => object !== undefined && made.link.includes(object)));
        }
      }
    }
  });
}

test("an example whose parts were not read is a fault of ours, and says so", async () => {
  const backend = await loadBackend("wasm");
  const program = programOf(backend);
  assert.throws(
    () => backend.emit(program, { name, example: [] }),
    (error) => error instanceof PenniError && error.code === "internal",
  );
});

test("what targets make of a model, for people", () => {
  assert.match(targetProducts, /^a WebAssembly module, C code.* or /);
  assert.equal(targetProducts.split(/, | or /).length, targetNames.length);
});

test("bytes as text, like Node's own, at every length around the parts it is made of", () => {
  for (const length of [0, 1, 2, 3, 4, 24575, 24576, 24577, 24578, 49152, 60000]) {
    const bytes = Uint8Array.from({ length }, (_, at) => (at * 73) % 256);
    assert.equal(base64(bytes), Buffer.from(bytes).toString("base64"), `${length} bytes`);
  }
});
