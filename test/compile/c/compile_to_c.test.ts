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
import { Network } from "../../../support/network.js";
import { storedNetwork } from "../../../support/stored_network.js";
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

test("compileToC prepares what the command line does with --prepare, and otherwise nothing", async () => {
  const { graph } = storedNetwork(6);
  const net = new Network(4, [16, 32, 32], 17, [1, 16, 32, 32]);
  const tiled = net.graph([net.conv("x", 16, { pad: 1 })]);
  const model = path.join(folder, "tiled.onnx");
  await writeModel(model, tiled);
  const out = path.join(folder, "prepared");
  const command = ["compile", model, "--target", "c", "-o", out, "--name", "net", "--prepare"];
  const { status, stdout, stderr } = await penni(command);
  assert.deepEqual([status, stderr], [0, ""]);
  assert.match(stdout, /winograd_weights_once/);
  const files = compileToC(tiled, { name: "net", prepare: true });
  for (const { name, content } of files)
    assert.equal(content, await readFile(path.join(out, name), "utf8"), name);
  assert.match(`${files[0]?.content}`, /^void net_prepare\(void \*prepared\);$/m);
  assert.match(`${files[0]?.content}`, /^void net_run\(.*, const void \*prepared\);$/m);
  assert.doesNotMatch(`${compileToC(tiled, { name: "net" })[0]?.content}`, /prepare/i);
  // Of packed weights it is done when they are expanded, asked or not.
  const packed = (prepare: boolean) => compileToC(graph, { name: "net", weightsType: "int8", prepare });
  assert.deepEqual(packed(true), packed(false));
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
