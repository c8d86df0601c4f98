import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { cFiles, cName } from "../../../src/compile/c/files.js";
import { floatLiteral } from "../../../src/compile/c/numbers.js";
import type { Program } from "../../../src/compile/program.js";
import { CLASS_NAMES_KEY, PREPROCESSING_KEY } from "../../../src/data/preprocessing.js";
import { runGraph } from "../../../src/execute/node.js";
import { PenniError } from "../../../src/graph/errors.js";
import { fixBatch } from "../../../src/graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor } from "../../../src/graph/tensor.js";
import type { Graph } from "../../../src/graph/types.js";
import { conv, randomTensor, smallGraph, smallNetwork } from "../../../support/small_models.js";
import { tinyCnn } from "../../../support/tiny_cnn.js";
import { command, compileForC, inDirectory, NAME, runInC, WARNINGS, withoutCommand } from "./support.js";
import "../self_checked.js";

const options = { name: NAME, weights: "inside", example: false } as const;

function fileNames(program: Program, changes: Partial<Parameters<typeof cFiles>[1]>): readonly string[] {
  return cFiles(program, { ...options, ...changes }).map(({ name }) => name);
}

test("the files that each place of the weights needs", () => {
  const program = compileForC(smallNetwork());
  assert.deepEqual(fileNames(program, {}), ["small.h", "small.c"]);
  assert.deepEqual(fileNames(program, { weights: "separate" }), [
    "small.h",
    "small.c",
    "small_weights.h",
    "small_weights.c",
  ]);
  assert.deepEqual(fileNames(program, { weights: "binary", example: true }), [
    "small.h",
    "small.c",
    "small_weights.bin",
    "main.c",
    "Makefile",
  ]);
});

test("a name that is no identifier is refused, and another proposed", () => {
  const program = compileForC(smallNetwork());
  for (const name of ["", "resnet-18", "3x3", "int", "_x"]) {
    assert.throws(
      () => cFiles(program, { ...options, name }),
      (error) =>
        error instanceof PenniError && error.code === "bad-option" && error.message.includes("Use a name"),
      name,
    );
  }
  assert.deepEqual(["resnet-18 (v2)", "3x3", "int", "", "网"].map(cName), [
    "resnet_18_v2",
    "n_3x3",
    "n_int",
    "network",
    "network",
  ]);
});

test("numbers are the shortest that read as the same float32", () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, "0.f"],
    [-0, "-0.f"],
    [1, "1.f"],
    [-0.5, "-.5f"],
    [0.1, ".1f"],
    [1e-40, "1e-40f"],
    [3.4028234663852886e38, "3.4028235e38f"],
    [1 / 3, ".33333334f"],
    [-Infinity, "-INFINITY"],
    [Number.NaN, "NAN"],
  ];
  for (const [value, text] of cases) assert.equal(floatLiteral(value), text);
  const bits = new Uint32Array(1);
  const float = new Float32Array(bits.buffer);
  for (let i = 0; i < 20_000; i++) {
    bits[0] = Math.imul(i, 2654435761);
    const value = float[0] ?? 0;
    if (!Number.isFinite(value)) continue;
    assert.ok(Object.is(Math.fround(Number(floatLiteral(value).slice(0, -1))), value), `${value}`);
  }
});

const hostile = '*/ int x; /* "\\\n??/ \u{1f600} // ';

/** A network whose names are all hostile, with weights that are no ordinary numbers. */
function hostileNetwork(): Graph {
  const weight = randomTensor([2, 2, 1, 1], 1);
  const strange = float32Tensor([2], [Number.POSITIVE_INFINITY, -0]);
  const graph = smallGraph(
    [1, 2, 3, 9],
    [{ ...conv({ name: "y", input: "x", weight: "w", bias: "b", kernel: 1 }), name: hostile }],
    { w: weight, b: strange },
  );
  return { ...graph, name: hostile };
}

test("names of a model cannot break out of comments, and infinite weights are kept", {
  skip: withoutCommand("gcc"),
}, async () => {
  const feeds = new Map([["x", randomTensor([1, 2, 3, 9], 4)]]);
  const graph = hostileNetwork();
  const inputs = graph.inputs.map((info) => ({ ...info, name: hostile }));
  const renamed = {
    ...graph,
    inputs,
    nodes: graph.nodes.map((node) => ({ ...node, inputs: [hostile, ...node.inputs.slice(1)] })),
  };
  const found = runInC(compileForC(renamed), new Map([[hostile, randomTensor([1, 2, 3, 9], 4)]]), {
    compiler: "gcc",
    flags: ["-O0"],
    weights: "separate",
  });
  const want = await runGraph(graph, feeds);
  const [expected] = want.values();
  const [actual] = found.values();
  assert.ok(expected && actual);
  float32Data(expected).forEach((value, index) => {
    const other = float32Data(actual)[index] ?? Number.NaN;
    assert.ok(value === other || Math.abs(value - other) <= 1e-5, `[${index}]: ${value} became ${other}`);
  });
});

test("no heap, no files, nothing written that is not passed in", { skip: withoutCommand("gcc") }, () => {
  inDirectory(compileForC(tinyCnn()), {}, (directory) => {
    command(directory, "gcc", [...WARNINGS, "-O2", "-c", `${NAME}.c`]);
    const symbols = command(directory, "nm", [`${NAME}.o`])
      .toString()
      .trim()
      .split("\n");
    const outside = symbols.filter((line) => /\s[UBbDdCS]\s/.test(line) && !/ mem(?:set|cpy)$/.test(line));
    assert.deepEqual(outside, []);
    assert.deepEqual(
      symbols.filter((line) => / T /.test(line)).map((line) => line.split(" ").at(-1)),
      [`${NAME}_run`],
    );
  });
});

const classNames = Array.from({ length: 10 }, (_, index) => `class "${index}" \u00fc??/`);
const preprocessing = {
  mean: [0.5, 0.4, 0.3],
  std: [0.2, 0.25, 0.3],
  scale: 1 / 255,
  layout: "NCHW",
  colour: "rgb",
};

for (const weights of ["inside", "separate", "binary"] as const) {
  test(`the example is built by make and classifies an image, weights ${weights}`, {
    skip: withoutCommand("gcc") || withoutCommand("make"),
  }, async () => {
    const metadata = new Map([
      [CLASS_NAMES_KEY, JSON.stringify(classNames)],
      [PREPROCESSING_KEY, JSON.stringify(preprocessing)],
    ]);
    const graph = { ...tinyCnn(), metadata };
    const pixels = Uint8Array.from({ length: 3 * 256 }, (_, index) => (index * 37) % 256);
    const input = Float32Array.from({ length: 3 * 256 }, (_, index) => {
      const colour = Math.floor(index / 256);
      const value = (pixels[3 * (index % 256) + colour] ?? 0) / 255;
      return (value - (preprocessing.mean[colour] ?? 0)) / (preprocessing.std[colour] ?? 1);
    });
    const [logits] = (
      await runGraph(fixBatch(graph, 1), new Map([["x", float32Tensor([1, 3, 16, 16], input)]]))
    ).values();
    assert.ok(logits);
    const scores = [...float32Data(logits)].map((score, index) => ({ score, name: classNames[index] ?? "" }));
    const best = scores.sort((a, b) => b.score - a.score).slice(0, 5);
    inDirectory(compileForC(graph), { weights, example: true }, (directory) => {
      const flags = `CFLAGS=${WARNINGS.join(" ")} -O1`;
      command(directory, "make", ["CC=gcc", flags]);
      const header = Buffer.from("P6 # a comment\n16 16\n255\n");
      writeFileSync(path.join(directory, "image.ppm"), Buffer.concat([header, pixels]));
      writeFileSync(path.join(directory, "image.f32"), new Uint8Array(input.buffer));
      const files = weights === "binary" ? [`${NAME}_weights.bin`] : [];
      for (const image of ["image.ppm", "image.f32"]) {
        const lines = command(directory, `./${NAME}_example`, [image, ...files])
          .toString()
          .trim()
          .split("\n");
        assert.equal(lines.length, 6);
        lines.slice(1).forEach((line, place) => {
          assert.ok(line.includes(best[place]?.name ?? "?"), line);
          const score = Number(line.trim().split(/\s+/).at(-1));
          assert.ok(Math.abs(score - (best[place]?.score ?? 0)) <= 1e-3, line);
        });
      }
    });
  });
}
