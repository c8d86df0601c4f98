import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { InferenceSession } from "onnxruntime-node";
import { fromOrtTensor, toOrtTensor } from "../../src/execute/engine.js";
import { runGraph } from "../../src/execute/node.js";
import { writeFileAtomic } from "../../src/files/atomic.js";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { type ErrorCode, PenniError } from "../../src/graph/errors.js";
import { encodeModelWithData } from "../../src/onnx/write.js";
import { bits, declare, floatBytes, matMulGraph, modelBytes, randomFeeds } from "./models.js";

const directory = mkdtempSync(path.join(tmpdir(), "penni-files-"));
after(() => rmSync(directory, { recursive: true }));

/** A model whose weight lies in another file, 4 bytes from its start. */
function externalModel(location: string, extra: readonly { key: string; value: string }[] = []): Uint8Array {
  return modelBytes({
    input: [declare("x", 1, [2])],
    initializer: [
      {
        name: "w",
        dims: [2n],
        dataType: 1,
        dataLocation: 1,
        externalData: [{ key: "location", value: location }, { key: "offset", value: "4" }, ...extra],
      },
    ],
    node: [{ opType: "Mul", input: ["x", "w"], output: ["y"] }],
    output: [declare("y", 1, [2])],
  });
}

function refusal(code: ErrorCode, file: string, message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof PenniError, `${error}`);
    assert.equal(error.code, code, error.message);
    assert.ok(error.message.startsWith(file), error.message);
    assert.match(error.message, message);
    return true;
  };
}

test("external data is read and written inside", async () => {
  writeFileSync(path.join(directory, "weights.bin"), floatBytes([9, 2, 3]));
  const file = path.join(directory, "external.onnx");
  writeFileSync(file, externalModel("weights.bin", [{ key: "length", value: "8" }]));
  const graph = await readModel(file);
  assert.deepEqual(graph.initializers.get("w")?.bytes.slice(), floatBytes([2, 3]));

  const written = path.join(directory, "inside.onnx");
  assert.equal(await writeModel(written, graph), readFileSync(written).byteLength);
  const again = await readModel(written);
  const feeds = new Map([["x", { type: "float32" as const, dims: [2], bytes: floatBytes([10, 10]) }]]);
  const [result] = [...(await runGraph(again, feeds)).values()];
  assert.deepEqual(result?.bytes, floatBytes([20, 30]));
});

test("a model is written with external data on request, and ONNX Runtime reads it there", async () => {
  const graph = matMulGraph(
    40,
    30,
    Float32Array.from({ length: 1200 }, (_, index) => index / 7),
  );
  const initializers = new Map(graph.initializers);
  initializers.set("small", { type: "float32", dims: [2], bytes: floatBytes([1, 2]) });
  const place = path.join(directory, "written");
  mkdirSync(place);
  const file = path.join(place, "large.onnx");
  const bytes = await writeModel(file, { ...graph, initializers }, { externalData: true });
  assert.deepEqual(readdirSync(place).sort(), ["large.onnx", "large.onnx.data"]);
  const sizes = ["large.onnx", "large.onnx.data"].map((name) => statSync(path.join(place, name)).size);
  assert.equal(sizes[0] === undefined || sizes[1] === undefined ? 0 : sizes[0] + sizes[1], bytes);
  assert.equal(sizes[1], 4800);
  const read = await readModel(file);
  assert.deepEqual(
    [...read.initializers].map(([name, tensor]) => [name, tensor.bytes.slice()]),
    [...initializers].map(([name, tensor]) => [name, tensor.bytes.slice()]),
  );

  const feeds = randomFeeds(graph, 1);
  const session = await InferenceSession.create(file);
  const fed = Object.fromEntries([...feeds].map(([name, tensor]) => [name, toOrtTensor(tensor)]));
  const results = await session.run(fed);
  const expected = await runGraph(graph, feeds);
  for (const [name, tensor] of expected) {
    const found = results[name];
    assert.ok(found !== undefined);
    assert.deepEqual(fromOrtTensor(found).bytes, tensor.bytes);
  }
  // Sparse weights stay in the model.
  const zeros = matMulGraph(40, 30, new Float32Array(1200));
  assert.deepEqual(encodeModelWithData(zeros, "x.data", { sparse: true }).data, []);
});

test("external data that lies outside the model's directory, or is too short, is refused", async () => {
  const inner = path.join(directory, "inner");
  mkdirSync(inner);
  writeFileSync(path.join(directory, "outside.bin"), floatBytes([1, 2, 3]));
  writeFileSync(path.join(inner, "short.bin"), floatBytes([1, 2]));
  symlinkSync(path.join(directory, "outside.bin"), path.join(inner, "link.bin"));
  const file = path.join(inner, "model.onnx");
  const outside = /outside its own directory/;
  const cases: readonly (readonly [string, ErrorCode, RegExp])[] = [
    ["../outside.bin", "bad-model", outside],
    ["a/../../outside.bin", "bad-model", outside],
    [path.join(directory, "outside.bin"), "bad-model", outside],
    ["C:\\outside.bin", "bad-model", outside],
    ["link.bin", "bad-model", outside],
    [".", "bad-model", outside],
    ["", "bad-model", /does not say where/],
    ["short.bin", "bad-model", /reaches beyond the end/],
  ];
  for (const [location, code, message] of cases) {
    writeFileSync(file, externalModel(location));
    await assert.rejects(readModel(file), refusal(code, file, message));
  }
  writeFileSync(file, externalModel("missing.bin"));
  await assert.rejects(readModel(file), refusal("io", path.join(inner, "missing.bin"), /no such file/));
  writeFileSync(file, externalModel("short.bin", [{ key: "length", value: "-3" }]));
  await assert.rejects(readModel(file), refusal("bad-model", file, /bad length of external data/));
});

test("a missing file, a directory, a device and an empty file are refused", async () => {
  const missing = path.join(directory, "missing.onnx");
  await assert.rejects(readModel(missing), refusal("io", missing, /no such file.*Check the path/));
  await assert.rejects(readModel(directory), refusal("io", directory, /found a directory/));
  await assert.rejects(readModel("/dev/zero"), refusal("io", "/dev/zero", /found a device/));
  const empty = path.join(directory, "empty.onnx");
  writeFileSync(empty, "");
  await assert.rejects(readModel(empty), refusal("bad-file", empty, /found an empty file/));
});

test("a written model is read back and computes the same", async () => {
  const graph = matMulGraph(
    4,
    3,
    Float32Array.from({ length: 12 }, (_, index) => index / 7),
  );
  const file = path.join(directory, "written.onnx");
  await writeModel(file, matMulGraph(1, 1, Float32Array.of(1)));
  await writeModel(file, graph, { sparse: true });
  const feeds = randomFeeds(graph, 1);
  assert.deepEqual(bits(await runGraph(await readModel(file), feeds)), bits(await runGraph(graph, feeds)));
});

test("a failed write names the file and leaves nothing behind", async () => {
  const place = path.join(directory, "place");
  mkdirSync(path.join(place, "taken.onnx", "full"), { recursive: true });
  writeFileSync(path.join(place, "file"), "old");
  symlinkSync("taken.onnx", path.join(place, "link"));
  symlinkSync("circle", path.join(place, "circle"));
  const before = readdirSync(place, { recursive: true });
  const refused: readonly (readonly [string, RegExp])[] = [
    ["missing/model.onnx", /the file's directory is not there\. Make it first: mkdir -p \S+missing$/],
    ["taken.onnx", /this is a directory, where a file is needed: found EISDIR\. Name a file in it/],
    ["link", /this is a directory, where a file is needed: found EISDIR\. Name a file in it/],
    ["circle", /cannot write the file: found ELOOP\. Check the path: a link in it leads in a circle/],
    ["file/model.onnx", /cannot write the file: found ENOTDIR\. Check the path/],
    ["x".repeat(300), /cannot write the file: found ENAMETOOLONG\. Choose a shorter name/],
  ];
  for (const [name, message] of refused) {
    const file = path.join(place, name);
    await assert.rejects(writeFileAtomic(file, "text"), refusal("io", file, message));
  }
  assert.deepEqual(readdirSync(place, { recursive: true }), before);
});

test("a link to what is not there yet stays, and what it leads to is written", async () => {
  const place = path.join(directory, "links");
  mkdirSync(path.join(place, "inner"), { recursive: true });
  symlinkSync(path.join("inner", "second"), path.join(place, "first"));
  symlinkSync(path.join("..", "file"), path.join(place, "inner", "second"));
  await writeFileAtomic(path.join(place, "first"), "text");
  assert.equal(readFileSync(path.join(place, "file"), "utf8"), "text");
  assert.ok(lstatSync(path.join(place, "first")).isSymbolicLink());
  assert.deepEqual(readdirSync(place).toSorted(), ["file", "first", "inner"]);
});

test("a write that the system cuts short leaves nothing behind", () => {
  const place = path.join(directory, "limited");
  mkdirSync(place);
  const script = `
    const { writeFileAtomic } = await import(process.argv[1]);
    await writeFileAtomic(process.argv[2], new Uint8Array(1e6)).catch(({ code, message }) => console.log(code, message));
  `;
  const module = fileURLToPath(import.meta.resolve("../../src/files/atomic.js"));
  const file = path.join(place, "model.onnx");
  // The limit on the size of a file stands in for a full disk.
  const { stdout } = spawnSync(
    "sh",
    [
      "-c",
      'ulimit -f 100; exec "$@"',
      "sh",
      process.execPath,
      "--input-type=module",
      "--eval",
      script,
      module,
      file,
    ],
    { encoding: "utf8" },
  );
  assert.match(stdout, /^io .*model\.onnx: cannot write the file: found EFBIG\. \S/);
  assert.deepEqual(readdirSync(place), []);
});

test("text is written as UTF-8 and replaces the old file", async () => {
  const file = path.join(directory, "text.json");
  assert.equal(await writeFileAtomic(file, "old and longer"), 14);
  assert.equal(await writeFileAtomic(file, "é"), 2);
  assert.equal(readFileSync(file, "utf8"), "é");
});
