import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import {
  byteArrayDefinitions,
  byteArrayType,
  byteArrayValues,
  littleEndianOnly,
  MOST_NUMBER_BYTES,
} from "../../../src/compile/c/byte_arrays.js";
import { checkName } from "../../../src/compile/c/names.js";
import { cTarget } from "../../../src/compile/c/target.js";
import { compileProgram } from "../../../src/compile/compile.js";
import { Random } from "../../../src/data/random.js";
import { runGraph } from "../../../src/execute/node.js";
import type { Graph } from "../../../src/graph/types.js";
import { assertNearOutputs } from "../../../support/network.js";
import { conv, randomTensor, smallGraph } from "../../../support/small_models.js";
import { type Build, command, inDirectory, NAME, runInC, SANITIZERS, skipOf, WARNINGS } from "./support.js";
import "../self_checked.js";

const compilers = ["gcc", "clang"] as const;
const buildWith = (compiler: string): Build => ({ compiler, flags: ["-O1"] });

/** All bytes, each before and behind every other, and what could be read as something else: escapes, trigraphs, quotes. */
function awkwardBytes(): Uint8Array {
  const pairs = Array.from({ length: 2 ** 16 }, (_, pair) => [pair >> 8, pair & 255]).flat();
  const words = ['\\0\\1777"', "??/??=", "\\\n", "*/ // /*", "%s\u0000%n"].join("");
  return Uint8Array.from([...pairs, ...Buffer.from(words, "latin1")]);
}

for (const compiler of compilers) {
  test(`what a compiler reads are the bytes that were written: ${compiler}`, {
    skip: skipOf(buildWith(compiler)),
  }, () => {
    const random = new Random(1);
    const bytes = awkwardBytes();
    // Around the ends of pieces and rows: lengths of less than one, exactly one, and one more.
    const lengths = [0, 1, 371, 372, 373, 4091, 4092, 4093, 8184, bytes.length];
    const arrays = lengths.map((length, index) => {
      const from = Math.floor(random.uniform() * (bytes.length - length));
      return { name: checkName(`array_${index}`), bytes: bytes.subarray(from, from + length) };
    });
    const types = arrays.map(({ name, bytes: { length } }) =>
      byteArrayType({ name, element: "unsigned char", count: Math.max(1, length), size: length }),
    );
    const prints = arrays.map(
      ({ name, bytes: { length } }) => `  fwrite(${byteArrayValues(name)}, 1, ${length}, stdout);`,
    );
    const source = [
      "#include <stdio.h>",
      littleEndianOnly,
      ...types,
      byteArrayDefinitions(arrays, "static "),
      `int main(void) {\n${prints.join("\n")}\n  return 0;\n}\n`,
    ].join("\n");
    const longest = Math.max(...source.split("\n").map((line) => line.length));
    assert.ok(longest <= 4095, `a line of ${longest} characters, where C99 promises 4095`);
    inEmptyDirectory((directory) => {
      writeFileSync(path.join(directory, "bytes.c"), source);
      command(directory, compiler, [...WARNINGS, "bytes.c", "-o", "bytes"]);
      const found = command(directory, path.join(directory, "bytes"), []);
      assert.deepEqual(found, Buffer.concat(arrays.map((array) => array.bytes)));
    });
  });
}

const inEmptyDirectory = (work: (directory: string) => void): void =>
  inDirectory(compileProgram(wideNetwork(4), cTarget), {}, work);

/** Convolutions of so many channels: of 260 more bytes than are written as numbers, of 520 as int8 too. */
function wideNetwork(channels: number): Graph {
  const nodes = ["a", "y"].map((name, index) =>
    conv({ name, input: index === 0 ? "x" : "a", weight: `w${index}`, kernel: 1 }),
  );
  return smallGraph([1, channels, 5, 7], nodes, {
    w0: randomTensor([channels, channels, 1, 1], 1),
    w1: randomTensor([channels, channels, 1, 1], 2),
  });
}

const sanitized: Build = { compiler: "gcc", flags: ["-O0", ...SANITIZERS] };

for (const weightsType of ["float32", "int8"] as const) {
  test(`a network with many weights computes the same wherever they stand: ${weightsType}`, {
    skip: skipOf(sanitized),
  }, async () => {
    const graph = wideNetwork(520);
    const program = compileProgram(graph, cTarget, weightsType);
    assert.ok(program.weights.length / (weightsType === "int8" ? 4 : 1) > MOST_NUMBER_BYTES);
    const feeds = new Map([["x", randomTensor([1, 520, 5, 7], 3)]]);
    const binary = runInC(program, feeds, { ...sanitized, weights: "binary" });
    for (const weights of ["inside", "separate"] as const)
      assert.deepEqual(runInC(program, feeds, { ...sanitized, weights }), binary, weights);
    if (weightsType === "float32") assertNearOutputs(await runGraph(graph, feeds), binary);
  });
}

for (const compiler of compilers) {
  test(`many weights bring no warning, and are constant: ${compiler}`, {
    skip: skipOf(buildWith(compiler)),
  }, () => {
    const program = compileProgram(wideNetwork(260), cTarget);
    inDirectory(program, { weights: "separate" }, (directory) => {
      command(directory, compiler, [...WARNINGS, "-c", `${NAME}_weights.c`]);
      const symbols = command(directory, "nm", [`${NAME}_weights.o`])
        .toString()
        .trim()
        .split("\n");
      assert.ok(symbols.length >= 2);
      for (const symbol of symbols) assert.match(symbol, / R /);
    });
  });
}
