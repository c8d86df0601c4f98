import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../../src/files/model_files.js";
import { PenniError } from "../../../src/graph/errors.js";
import { compileToC } from "../../../src/index.js";
import { encodeModel } from "../../../src/onnx/write.js";
import { penni } from "../../../support/command_line.js";
import "../self_checked.js";
import { tinyCnn } from "../../../support/tiny_cnn.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-compile-to-c-"));
after(() => rm(folder, { recursive: true, force: true }));

test("compileToC gives the files that the command line writes, of a graph and of bytes", async () => {
  const graph = tinyCnn();
  const model = path.join(folder, "net.onnx");
  await writeModel(model, graph);
  const out = path.join(folder, "out");
  const command = ["compile", model, "--target", "c", "-o", out, "--name", "net", "--weights", "separate"];
  const options = { name: "net", weights: "separate" } as const;
  assert.equal((await penni(command)).status, 0);
  const files = compileToC(graph, options);
  assert.deepEqual(files.map(({ name }) => name).toSorted(), (await readdir(out)).toSorted());
  for (const { name, content } of files)
    assert.equal(content, await readFile(path.join(out, name), "utf8"), name);
  assert.deepEqual(compileToC(encodeModel(graph), options), files);
});

test("compileToC keeps weights inside by default, fixes open dimensions, and refuses names that C cannot have", () => {
  const graph = tinyCnn();
  assert.deepEqual(
    compileToC(graph, { name: "net" }).map(({ name }) => name),
    ["net.h", "net.c"],
  );
  const [header] = compileToC(graph, { name: "net", inputShapes: { x: [2, 3, 16, 16] } });
  assert.match(`${header?.content}`, /NET_INPUT_SHAPE \{2, 3, 16, 16\}/);
  assert.throws(
    () => compileToC(graph, { name: "a-b" }),
    (error) => error instanceof PenniError && error.code === "bad-option",
  );
});
