import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { cFiles } from "../../../src/compile/c/files.js";
import { checkName, cName } from "../../../src/compile/c/names.js";
import { namePorts } from "../../../src/compile/c/ports.js";
import { cTarget } from "../../../src/compile/c/target.js";
import { compileProgram } from "../../../src/compile/compile.js";
import { CLASS_NAMES_KEY } from "../../../src/data/preprocessing.js";
import { PenniError } from "../../../src/graph/errors.js";
import { float32Tensor } from "../../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../../src/graph/types.js";
import { decodeModel } from "../../../src/onnx/read.js";
import { dangerousPieces, dangerousTexts, plainTexts } from "../../../support/hostile_names.js";
import { sharedPath, withoutShared } from "../../../support/shared.js";
import { node, randomTensor, smallGraph } from "../../../support/small_models.js";
import { command, compileForC, inDirectory, NAME, runInC, WARNINGS, withoutCommand } from "./support.js";
import "../self_checked.js";

/** A chain of additions of constants, one for each name, which all parts of a node bear. */
function chain(names: readonly string[], title: string): Graph {
  const nodes = names.map((name, index) => ({
    ...node("Add", [index === 0 ? "x" : `v${index}`, `${name}#${index}`], `v${index + 1}`),
    name,
  }));
  const weights = names.map((name, index) => [`${name}#${index}`, randomTensor([4], index)] as const);
  const graph = smallGraph([1, 4], [...nodes, node("Relu", [`v${names.length}`], "y")], {});
  const metadata = new Map([[CLASS_NAMES_KEY, JSON.stringify(names.slice(0, 300))]]);
  return { ...graph, name: title, initializers: new Map(weights), metadata };
}

/** Inputs and outputs with the given names, each output a rectified input. */
function manyPorts(names: readonly string[]): Graph {
  const graph = smallGraph([1, 4], [], {});
  const [input] = graph.inputs;
  return {
    ...graph,
    inputs: names.map((name) => ({ name, type: input?.type })),
    outputs: names.map((name) => ({ name: `${name}>out`, type: undefined })),
    nodes: names.map((name) => ({ ...node("Relu", [name], `${name}>out`), name })),
  };
}

/** Comments of C code by its own rules: nothing else of it is looked at. */
function comments(code: string): readonly string[] {
  const tokens = code.matchAll(/"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g);
  return [...tokens].map(([token]) => token).filter((token) => token.startsWith("/"));
}

/** Code as the compiler itself sees it, without comments, every name replaced by the same word. */
function withoutNames(directory: string, file: string): string {
  const stripped = command(directory, "gcc", [
    "-std=c99",
    "-w",
    "-fpreprocessed",
    "-dD",
    "-E",
    "-P",
    file,
  ]).toString();
  return stripped
    .replace(/"(?:\\.|[^"\\\n])*"/g, '""')
    .replace(/\b[A-Za-z_]\w*\b/g, "name")
    .replace(/\s+/g, "");
}

interface Shape {
  readonly file: string;
  readonly code: string;
  readonly comments: number;
}

/** What code is left of each file without names and comments, and how many comments. */
function shapes(graph: Graph): readonly Shape[] {
  return inDirectory(compileForC(graph), { weights: "separate", example: true }, (directory) => {
    const found = ["small.h", "small.c", "small_weights.h", "small_weights.c", "main.c"].map((file) => {
      const text = readFileSync(path.join(directory, file), "utf8");
      return { file, code: withoutNames(directory, file), comments: comments(text).length };
    });
    command(directory, "make", ["CC=gcc", `CFLAGS=${WARNINGS.join(" ")} -Wcomment -Wtrigraphs -O0`]);
    return found;
  });
}

/** The same names in every run, so that a failure can be repeated. */
function randomNames(count: number): readonly string[] {
  let state = 12345;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const piece = (): string => dangerousPieces[next(dangerousPieces.length)] ?? "";
  return [...new Set(Array.from({ length: count }, () => Array.from({ length: next(9) }, piece).join("")))];
}

const pairs = [...new Set(dangerousTexts)];

const families: Readonly<Record<string, readonly string[]>> = {
  "all bytes, and a text of a megabyte": [...new Set(plainTexts)],
  "pairs of the dangerous texts, first half": pairs.slice(0, pairs.length / 2),
  "pairs of the dangerous texts, second half": pairs.slice(pairs.length / 2),
  "random sequences of the dangerous texts": randomNames(600),
};

for (const [family, names] of Object.entries(families)) {
  test(`names never become code or end a comment: ${family}`, {
    skip: withoutCommand("gcc") || withoutCommand("make"),
  }, () => {
    const harmless = names.map((_, index) => `node${index}`);
    const hostile = shapes(chain(names, names.join("").slice(-3000)));
    const expected = shapes(chain(harmless, "title"));
    hostile.forEach(({ file, code, comments: count }, index) => {
      assert.equal(count, expected[index]?.comments, `comments of ${file}`);
      assert.equal(code, expected[index]?.code, file);
    });
  });
}

test("the network whose name ran as code: only a comment", {
  skip: withoutCommand("gcc") || withoutShared("cases/s1_node_name_in_comment.onnx"),
}, () => {
  const graph = decodeModel(readFileSync(sharedPath("cases/s1_node_name_in_comment.onnx")));
  const [source] = cFiles(compileForC(graph), { name: NAME, weights: "inside", example: false }).slice(1);
  const code = String(source?.content);
  const nodes = graph.nodes.map((each, index) => ({ ...each, name: `node${index}` }));
  const plain = cFiles(compileForC({ ...graph, nodes }), { name: NAME, weights: "inside", example: false });
  assert.equal(comments(code).length, comments(String(plain[1]?.content)).length);
  inDirectory(compileForC(graph), {}, (directory) => {
    command(directory, "gcc", [...WARNINGS, "-c", `${NAME}.c`]);
    const symbols = command(directory, "nm", ["-g", "--defined-only", `${NAME}.o`])
      .toString()
      .trim()
      .split("\n");
    assert.deepEqual(
      symbols.map((line) => line.split(" ").at(-1)),
      [`${NAME}_run`],
    );
  });
});

const clashing = [
  ..."data DATA Data dAtA data_2 DATA_2 elements ELEMENTS data_elements DATA_ELEMENTS rank shape".split(" "),
  ..."int Int while input output scratch weights count arguments main fail memory stdin NULL".split(" "),
  ...["_", "__", "1", "9x", "网", "网网", "ſ", "\u212a", "K", "k", "x".repeat(80), `${"x".repeat(80)}y`],
];

test("ports have names and macros of their own, in any case", () => {
  // An empty name means that there is no value.
  for (const names of [clashing, plainTexts, dangerousTexts.filter((name) => name !== "")]) {
    const { inputs, outputs } = namePorts(compileForC(manyPorts([...new Set(names)])), checkName("NET"));
    const ports = [...inputs, ...outputs];
    const macros = ports.flatMap(({ macro }) =>
      ["ELEMENTS", "RANK", "SHAPE"].map((part) => `${macro}_${part}`),
    );
    assert.equal(new Set(macros).size, macros.length);
    assert.equal(new Set(ports.map(({ parameter }) => parameter.toLowerCase())).size, ports.length);
    for (const { parameter, macro } of ports) {
      assert.match(parameter, /^(?:input|output)_[A-Za-z]\w*$/);
      assert.match(macro, /^NET_(?:INPUT|OUTPUT)_[A-Z][A-Z0-9_]*$/);
    }
  }
});

test("each port gets the values of its own name, under sanitizers", { skip: withoutCommand("gcc") }, () => {
  const graph = manyPorts(clashing);
  const inputs = new Map(
    clashing.map((name, index): [string, Tensor] => [name, float32Tensor([1, 4], [index, -1, 2, 3])]),
  );
  const found = runInC(compileForC(graph), inputs, { compiler: "gcc", flags: ["-O1"], weights: "inside" });
  clashing.forEach((name, index) => {
    assert.deepEqual(found.get(`${name}>out`), float32Tensor([1, 4], [index, 0, 2, 3]), name);
  });
});

test("inputs that differ in case only: distinct macros, and an example that stays within its memory", {
  skip: withoutCommand("gcc") || withoutShared("cases/s2_port_names_differ_in_case.onnx"),
}, () => {
  const graph = decodeModel(readFileSync(sharedPath("cases/s2_port_names_differ_in_case.onnx")));
  const files = cFiles(compileForC(graph), { name: "net", weights: "inside", example: true });
  const header = String(files.find(({ name }) => name === "net.h")?.content);
  const macros = [...header.matchAll(/^#define (\w+)/gm)].map(([, macro]) => macro);
  assert.equal(new Set(macros).size, macros.length);
});

const networkNames = [
  ..."main MAIN Main makefile Makefile GNUmakefile clean all example con NUL aux com1 lpt9 prn".split(" "),
  ..."math stdio string int double use USE weights kernel input output v8 parts nan README".split(" "),
  ...["", "_", "9", "网", "x".repeat(300), "a b", "../../x", "a/b", "-o", "$(shell)", "x.onnx", "é"],
];

test("files of every network's name: distinct in any case, no device, no path, of a length that fits", () => {
  const program = compileForC(smallGraph([1, 4], [node("Relu", ["x"], "y")], {}));
  for (const given of networkNames) {
    for (const weights of ["inside", "separate", "binary"] as const) {
      const name = cName(given);
      const names = cFiles(program, { name, weights, example: true }).map((file) => file.name);
      assert.equal(new Set(names.map((file) => file.toLowerCase())).size, names.length, `${names}`);
      for (const file of names) {
        assert.match(file, /^[A-Za-z]\w*(?:\.[ch]|\.bin)?$/);
        assert.ok(file.length <= 255);
        assert.doesNotMatch(file, /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i);
        assert.doesNotMatch(file, /^(?:GNU)?makefile\./i);
      }
    }
  }
});

for (const given of ["main", "Main", "makefile", "clean", "math", "use", "kernel", "input", "example"]) {
  test(`a network called ${given}: its example is built and runs`, {
    skip: withoutCommand("gcc") || withoutCommand("make"),
  }, () => {
    const program = compileProgram(smallGraph([1, 4], [node("Relu", ["x"], "y")], {}), cTarget);
    const name = cName(given);
    inDirectory(program, { name, example: true }, (directory) => {
      command(directory, "make", ["CC=gcc", `CFLAGS=${WARNINGS.join(" ")} -O1`]);
      const input = path.join(directory, `${name}.h`);
      assert.ok(readFileSync(input).length > 0);
      command(directory, "sh", [
        "-c",
        "printf '\\0\\0\\200\\077\\0\\0\\0\\100\\0\\0\\100\\100\\0\\0\\0\\300' > in.f32",
      ]);
      const text = command(directory, `./${name}_example`, ["in.f32"]).toString();
      assert.equal(text, "output\n       2  3\n       1  2\n       0  1\n       3  0\n");
    });
  });
}

test("names that no file can have are refused", () => {
  for (const name of ["con", "NUL", "makefile", "math", "use", "x".repeat(201), "a.b", "a/b", "\n"]) {
    assert.throws(
      () => checkName(name),
      (error) => error instanceof PenniError && error.code === "bad-option",
    );
  }
  assert.equal(checkName("x".repeat(200)).length, 200);
});
