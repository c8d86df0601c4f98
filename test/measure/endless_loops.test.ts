import assert from "node:assert/strict";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { refuseEndlessLoops } from "../../src/measure/endless_loops.js";
import { shapedForRuns } from "../../src/measure/runtime_shapes.js";
import { penni } from "../../support/command_line.js";
import { declare, modelBytes } from "../onnx/models.js";
import { around, batchOfX, choose, long, loop, type NodeInit, node, ofData, scan } from "./loop_models.js";

const body = [node("Neg", "v", "w")];
const whileLarge = [
  node("ReduceSum", "v", "total", { attribute: [] }),
  node("Cast", "total", "goOn", { attribute: [{ name: "to", type: 2, i: 9n }] }),
];

const refused: Readonly<Record<string, readonly NodeInit[]>> = {
  "a constant of 2^62": [loop("endless", "n", "l")],
  "2^41 as a product": [node("Mul", "half thousand", "product"), loop("product", "n", "l")],
  "2^31 for each image": [...batchOfX, node("Mul", "batch half", "turns"), loop("turns", "n", "l")],
  "not given, with a condition that stays": [loop("-", "n", "l")],
  "not given, with a condition that two negations leave": [
    loop("-", "n", "l", body, [node("Not", "go", "stop"), node("Not", "stop", "goOn")]),
  ],
  "not given, with a condition that is a constant outside": [
    loop("-", "n", "l", body, [node("Or", "go true", "goOn")]),
  ],
  "2^20, each of 2^20": [
    node("Mul", "thousand thousand", "million"),
    loop("million", "n", "l", [loop("million", "v", "w")]),
  ],
  "not given, in a branch": [...ofData("condition", 9n), choose("condition", "l", [loop("-", "n", "b")])],
  "a constant of a branch, 2^62": [
    ...ofData("condition", 9n),
    choose("condition", "l", [loop("five", "n", "b")], [long("five", 2n ** 62n)]),
  ],
  "2^26 slices": [scan("vast", "s"), node("ReduceSum", "s", "r"), node("Add", "r n", "l")],
};

const passed: Readonly<Record<string, readonly NodeInit[]>> = {
  "a constant": [loop("five", "n", "l")],
  "computed from the data": [...ofData("turns", 7n), loop("turns", "n", "l")],
  "not given, while the data say so": [loop("-", "n", "l", body, whileLarge)],
  // PyTorch writes a while loop with the largest number of turns.
  "2^62, while the data say so": [loop("endless", "n", "l", body, whileLarge)],
  "slices of an input": [scan("x", "s"), node("Add", "s n", "l")],
};

const more = [
  long("thousand", 1024n),
  { name: "vast", dims: [2n ** 26n, 0n], dataType: 1, rawData: new Uint8Array() },
];

for (const [turns, nodes] of Object.entries(refused)) {
  test(`a network with a loop whose turns are ${turns} is not run`, async () => {
    const isNamed = { code: "unsupported", message: /loops without an end/ };
    assert.throws(() => refuseEndlessLoops(around(nodes, more)), isNamed);
    await assert.rejects(shapedForRuns(around(nodes, more)), isNamed);
  });
}

for (const [turns, nodes] of Object.entries(passed)) {
  test(`a network with a loop whose turns are ${turns} may be run`, () => {
    refuseEndlessLoops(around(nodes));
  });
}

test("every command that runs networks refuses a loop without end, and names it", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "penni-endless-"));
  const model = path.join(folder, "model.onnx");
  const floats = (name: string, dims: readonly bigint[]) => ({
    name,
    dims: [...dims],
    dataType: 1,
    floatData: Array.from({ length: Number(dims.reduce((all, dim) => all * dim, 1n)) }, (_, at) =>
      Math.sin(at),
    ),
  });
  await writeFile(
    model,
    modelBytes({
      node: [
        node("Conv", "x k", "c"),
        loop("endless", "c", "l"),
        node("GlobalAveragePool", "l", "g"),
        node("Flatten", "g", "y"),
      ],
      input: [declare("x", 1, [1, 3, 32, 32])],
      output: [declare("y", 1, [1, 10])],
      initializer: [
        floats("k", [10n, 3n, 3n, 3n]),
        long("endless", 2n ** 62n),
        { name: "true", dims: [], dataType: 9, int32Data: [1] },
      ],
    }),
  );
  const out = path.join(folder, "out");
  const data = ["--data", "synthetic"];
  for (const args of [
    ["eval", model, ...data],
    ["sensitivity", model, ...data],
    ["compress", model, ...data, "-o", out],
    ["compress", model, ...data, "-o", out, "--preset", "calibrate"],
    ["train", model, ...data, "-o", out],
  ]) {
    const { status, stderr } = await penni(args);
    assert.equal(status, 1, args.join(" "));
    assert.match(stderr, /model\.onnx: node "l" \(Loop\): this loops without an end/, args.join(" "));
  }
});
