import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { buildAddon } from "../../src/build/addon.js";
import { checkName } from "../../src/compile/c/names.js";
import { compileProgram } from "../../src/compile/compile.js";
import { backend } from "../../src/compile/node/backend.js";
import { summarizeProgram } from "../../src/compile/summary.js";
import { runGraph } from "../../src/execute/node.js";
import { readModel } from "../../src/files/model_files.js";
import { CLASS_NAMES_KEY } from "../../src/graph/image_metadata.js";
import { float32Tensor, numericData } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { decompose } from "../../src/method/decompose.js";
import { pruneCoefficients } from "../../src/method/prune.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { storeWeights } from "../../src/ops/passes/store_weights.js";
import { load } from "../../src/runtime/index.js";
import {
  addonProgram,
  changedExecution,
  quickExecution,
  withoutCompiler,
  writeAddon,
} from "../../support/addon.js";
import { dangerousPieces, dangerousTexts } from "../../support/hostile_names.js";
import { Network } from "../../support/network.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { node, smallGraph, smallNetwork } from "../../support/small_models.js";
import { storedNetwork } from "../../support/stored_network.js";
import { tinyCnn } from "../../support/tiny_cnn.js";
import { withoutCommand } from "../compile/c/support.js";
import { forcedRates } from "../compile/contract_case.js";
import "../compile/self_checked.js";
import { largestDifference, randomData, referenceOutput } from "../runtime/support.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-node-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Absolute, of logits. */
const TOLERANCE = 1e-4;
const runtime = new URL("../../src/runtime/index.js", import.meta.url).href;
const stress = fileURLToPath(new URL("stress.js", import.meta.url));

/** What an addon can run with on this machine, as it says itself. */
async function setsHere(file: string): Promise<readonly string[]> {
  const error = await load(file, { isa: "none" }).then(
    () => assert.fail("there is no such instruction set"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof Error);
  const [, list = ""] =
    /expected instructions that the addon and this machine have \(([^)]*)\), found "none"/.exec(
      error.message,
    ) ?? [];
  return list.split(", ");
}

/** What a process prints of the addon's instruction set. */
function isaIn(file: string, environment: Readonly<Record<string, string>>): string {
  const code = `import { load } from ${JSON.stringify(runtime)};
    console.log(await load(${JSON.stringify(file)}).then(({ isa }) => isa, (error) => error.message));`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    env: { ...process.env, ...environment },
    encoding: "utf8",
  });
  return stdout.trim();
}

/** With CC in the environment meanwhile. */
async function withCompiler<Result>(command: string, work: () => Promise<Result>): Promise<Result> {
  const { CC } = process.env;
  process.env.CC = command;
  try {
    return await work();
  } finally {
    if (CC === undefined) delete process.env.CC;
    else process.env.CC = CC;
  }
}

/** Its arena takes 1 MiB. */
function roomyNetwork(): Graph {
  const nodes = [node("Sigmoid", ["x"], "s"), node("GlobalAveragePool", ["s"], "y")];
  return smallGraph([1, 16, 128, 128], nodes, {});
}

describe("an addon", { skip: withoutCompiler }, () => {
  let small = "";
  before(async () => {
    small = await writeAddon(folder, "small", addonProgram(smallNetwork()));
  });

  test("every instruction set that the machine has computes ONNX Runtime's values", async () => {
    const sparse = pruneCoefficients(decompose(simplify(tinyCnn()), { basis: 3 }), { factor: 1 }).graph;
    const data = randomData(2 * 3 * 16 * 16, 1);
    const dims = [2, 3, 16, 16];
    for (const [name, graph] of [
      ["dense", tinyCnn()],
      ["sparse", sparse],
    ] as const) {
      const file = await writeAddon(folder, name, addonProgram(graph));
      const expected = await referenceOutput(graph, dims, data);
      const sets = await setsHere(file);
      assert.equal(sets.at(-1), "baseline");
      for (const isa of sets) {
        const model = await load(file, { isa });
        assert.equal(model.isa, isa);
        assert.equal(model.relaxed, isa !== "baseline");
        assert.ok(largestDifference(model.run(data), expected) < TOLERANCE, `${name}, ${isa}`);
        assert.deepEqual(await model.runAsync(data), model.run(data));
      }
    }
  });

  test("the best is taken, or what PENNI_ISA or the options say; what is not there is refused", async () => {
    const sets = await setsHere(small);
    const model = await load(small);
    assert.equal(model.isa, sets[0]);
    assert.equal((await load(small, { relaxed: false })).isa, "baseline");
    for (const isa of sets) assert.equal(isaIn(small, { PENNI_ISA: isa }), isa);
    assert.equal(isaIn(small, { PENNI_ISA: "" }), sets[0]);
    assert.match(isaIn(small, { PENNI_ISA: "mmx\u001b[2J" }), /^cannot load .*found "mmx\?\[2J"$/);
    assert.match(isaIn(small, { PENNI_ISA: "x".repeat(1000) }), /found "x{31}"$/);
  });

  test("bears collection, threads, workers and wrong arguments", async () => {
    const quick = { execution: quickExecution };
    const other = await writeAddon(folder, "other", addonProgram(smallNetwork()), quick);
    const program = addonProgram(roomyNetwork());
    assert.ok(summarizeProgram(program).arenaBytes >= 2 ** 20);
    const roomy = await writeAddon(folder, "roomy", program, quick);
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--expose-gc", "--no-warnings", stress, small, other, roomy, "400"],
      { encoding: "utf8" },
    );
    assert.deepEqual([status, stdout.trim(), stderr], [0, "done", ""]);
  });

  describe("under the address and undefined-behaviour sanitizers", () => {
    const library =
      spawnSync("gcc", ["-print-file-name=libasan.so"], { encoding: "utf8" }).stdout?.trim() ?? "";
    const isThere = process.platform === "linux" && existsSync(library);
    const skip = isThere ? false : "needs gcc with its sanitizers, on Linux";
    /** The kernels by themselves are under both in ../compile/c, where it takes its time. */
    const sanitize = (options: readonly string[]): readonly string[] => {
      const isKernels = options.includes("-c") && !options.some((option) => option.endsWith("_addon.c"));
      return [
        ...options.filter((option) => option !== "-s").map((option) => (option === "-O3" ? "-O1" : option)),
        ...["-g", `-fsanitize=address${isKernels ? "" : ",undefined"}`, "-fno-sanitize-recover=all"],
      ];
    };
    const environment = {
      ...process.env,
      LD_PRELOAD: library,
      // Node itself leaves memory behind when it ends.
      ASAN_OPTIONS: "detect_leaks=0:quarantine_size_mb=16",
    };

    test("bears the same", { skip }, async () => {
      const files = [
        await withCompiler("gcc", () =>
          writeAddon(folder, "sanitized", addonProgram(smallNetwork()), {
            execution: changedExecution(sanitize),
          }),
        ),
      ];
      for (const [index, graph] of [smallNetwork(), roomyNetwork()].entries()) {
        const options = { execution: changedExecution(sanitize, "any") };
        const program = addonProgram(graph);
        files.push(
          await withCompiler("gcc", () => writeAddon(folder, `sanitized${index}`, program, options)),
        );
      }
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        ["--expose-gc", "--no-warnings", stress, ...files, "40"],
        { encoding: "utf8", env: environment },
      );
      assert.deepEqual([status, stdout.trim(), stderr.slice(0, 4000)], [0, "done", ""]);
    });

    test("an arena that is too small is found", { skip }, async () => {
      const name = checkName("overflowing");
      const emitted = backend.emit(addonProgram(roomyNetwork()), { name }).map((file) => ({
        ...file,
        content:
          typeof file.content === "string"
            ? file.content.replace(/(#define ARENA_BYTES) .*/, "$1 ((size_t)4096)")
            : file.content,
      }));
      const execution = changedExecution(sanitize, "any");
      const { files } = await withCompiler("gcc", () => buildAddon(emitted, execution, name));
      const file = path.join(folder, "overflowing.node");
      writeFileSync(file, files[0]?.content ?? "");
      const code = `import { load } from ${JSON.stringify(runtime)};
        (await load(${JSON.stringify(file)})).run(new Float32Array(${2 ** 18}));`;
      const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
        encoding: "utf8",
        env: environment,
      });
      assert.notEqual(status, 0);
      assert.match(stderr, /AddressSanitizer: heap-buffer-overflow/);
    });
  });

  test("several models and threads share one copy of code and weights", async (context) => {
    if (!existsSync("/proc/self/maps")) return context.skip("needs /proc");
    const models = await Promise.all(Array.from({ length: 4 }, () => load(small)));
    for (const model of models) assert.equal(model.run(new Float32Array(128)).length, 5);
    const lines = readFileSync("/proc/self/maps", "utf8").split("\n");
    assert.equal(lines.filter((line) => line.endsWith("/small.node") && / 00000000 /.test(line)).length, 1);
  });

  test("what is made of weights is there once, whatever instructions its models choose", async () => {
    const net = new Network(3, [96, 8, 8], 17, [1, 96, 8, 8]);
    const y = net.relu(net.conv("x", 96, { pad: 1, basis: 3, bias: true }));
    const graph = net.graph([net.conv(y, 96, { pad: 1, bias: true })]);
    const program = compileProgram(graph, { ...backend.target, rates: forcedRates.tiles });
    const { preparedBytes } = summarizeProgram(program);
    assert.ok(preparedBytes > 2_500_000 && program.preparation.length > 3);
    const file = await writeAddon(folder, "prepared", program, {
      execution: changedExecution((options) => options.map((each) => (each === "-O3" ? "-O0" : each))),
    });
    const { x } = Object.fromEntries(net.feeds(1));
    assert.ok(x !== undefined);
    const [expected] = (await runGraph(graph, new Map([["x", x]]), { threads: 1 })).values();
    assert.ok(expected !== undefined);
    for (const isa of await setsHere(file)) {
      const found = (await load(file, { isa })).run(Float32Array.from(numericData(x)));
      const difference = largestDifference(found, Float32Array.from(numericData(expected)));
      assert.ok(difference <= TOLERANCE, `${isa}: ${difference}`);
    }
    const { rss } = process.memoryUsage();
    const models = await Promise.all(Array.from({ length: 32 }, () => load(file)));
    assert.equal(models.length, 32);
    assert.ok(process.memoryUsage().rss - rss < 10 * preparedBytes);
  });

  test("any names of inputs, outputs and classes go through", async () => {
    // Names in a file are UTF-8, without half pairs.
    const names = ["a", "b", "c", "d"].map((end, at) =>
      `${dangerousTexts[at]}${end}`.replace(/\p{Cs}/gu, ""),
    );
    const pieces = dangerousPieces.join("").replace(/\p{Cs}/gu, "");
    for (const [index, name] of [pieces, "\u2028\0*/ ??/\\", "__proto__"].entries()) {
      const graph = smallGraph([1, 4], [node("Softmax", [name], "y")], {});
      const named: Graph = {
        ...graph,
        name,
        inputs: graph.inputs.map((input) => ({ ...input, name })),
        metadata: new Map([[CLASS_NAMES_KEY, JSON.stringify(names)]]),
      };
      const file = await writeAddon(folder, `names${index}`, addonProgram(named), {
        execution: quickExecution,
      });
      const model = await load(file);
      assert.equal(model.inputs[0]?.name, name);
      assert.deepEqual(model.classNames, names);
      assert.equal(model.run(new Float32Array(4))[0], 0.25);
    }
  });

  test("a network without inputs, and one without weights", async () => {
    const options = { execution: quickExecution };
    const graph = smallGraph([1, 4], [node("Relu", ["x"], "y")], {});
    const plain = await load(await writeAddon(folder, "plain", addonProgram(graph), options));
    assert.deepEqual(plain.run(Float32Array.of(-1, 2, -3, 4)), Float32Array.of(0, 2, 0, 4));
    const constant: Graph = {
      ...smallGraph([1, 2], [node("Identity", ["c"], "y")], { c: float32Tensor([1, 2], [3, 4]) }),
      inputs: [],
    };
    const fixed = await load(await writeAddon(folder, "constant", addonProgram(constant), options));
    assert.deepEqual(fixed.run({}), Float32Array.of(3, 4));
    assert.deepEqual(await fixed.runAsync({}), Float32Array.of(3, 4));
  });

  test("weights of 8 and 16 bits are expanded when it is built", async () => {
    const { net, graph } = storedNetwork(5);
    for (const type of ["int8", "float16"] as const) {
      const stored = storeWeights(graph, type).graph;
      const file = await writeAddon(folder, type, addonProgram(stored), { execution: quickExecution });
      const [[, image] = []] = net.feeds(1);
      assert.ok(image !== undefined);
      const expected = [...(await runGraph(stored, new Map([["x", image]]))).values()][0];
      assert.ok(expected !== undefined);
      const found = (await load(file)).run(Float32Array.from(numericData(image)));
      const difference = largestDifference(found, Float32Array.from(numericData(expected)));
      assert.ok(difference <= TOLERANCE, `${type}: ${difference}`);
    }
  });

  test("what is no addon of Penni's is refused, by its name", async () => {
    const none = path.join(folder, "none.node");
    await assert.rejects(load(none), /^Error: cannot load .*none\.node, an addon for Node: ENOENT/);
    const text = path.join(folder, "text.node");
    writeFileSync(text, "no addon ".repeat(20));
    await assert.rejects(
      load(text),
      /^Error: cannot load .*text\.node, an addon for Node: .*(?:ELF|header|slice)/,
    );
    // The system would end the process that maps it.
    const { length } = readFileSync(small);
    for (const left of [0, 1, 63, 64, 65, 100, 3000, length - 4096, length - 1]) {
      const cut = path.join(folder, `cut${left}.node`);
      writeFileSync(cut, readFileSync(small).subarray(0, left));
      await assert.rejects(load(cut), /^Error: cannot load .*cut\d+\.node, an addon for Node: /);
    }
    await assert.rejects(load("http://127.0.0.1:1/x.node"), /expected a file, in Node$/);
    await assert.rejects(load(small, { verify: true }), {
      name: "TypeError",
      message: "load: verify needs the module's bytes, found an addon",
    });
    await assert.rejects(
      load(readFileSync(small)),
      /expected a module written by penni compile, found \d+ bytes/,
    );
    const foreign = createRequire(import.meta.url)
      .resolve("sharp")
      .replace(/node_modules.sharp.*/, "node_modules");
    const theirs = path.join(foreign, "@img/sharp-linux-x64/lib/sharp-linux-x64-0.35.5.node");
    if (existsSync(theirs))
      await assert.rejects(load(theirs), /expected a module written by penni compile, found another/);
  });

  const model = "models/resnet20.onnx";
  test("ResNet-20, compressed: under 1 MB, and ONNX Runtime's values", {
    skip: withoutShared(model),
  }, async () => {
    const dense = simplify(await readModel(sharedPath(model)));
    const graph = pruneCoefficients(decompose(dense, { basis: 6 }), { factor: 0.5 }).graph;
    const program = addonProgram(graph);
    const file = await writeAddon(folder, "resnet20", program);
    const { size } = statSync(file);
    assert.ok(size < 1e6, `${size} bytes`);
    assert.ok(
      size - program.weights.length < 200_000,
      `${size - program.weights.length} bytes without weights`,
    );
    const data = randomData(2 * 3 * 32 * 32, 5);
    const expected = await referenceOutput(graph, [2, 3, 32, 32], data);
    const found = await (await load(file)).runAsync(data);
    assert.ok(largestDifference(found, expected) < 1e-3);
  });

  test("an x86-64 without AVX, or with AVX2 alone, gets what it can run", {
    skip: process.arch === "x64" ? withoutCommand("qemu-x86_64") : "needs x86-64",
  }, () => {
    const code = `require("node:fs"); const { create } = require(${JSON.stringify(small)});
      const model = create(); const out = new Float32Array(5);
      model.run([new Float32Array(128).fill(0.5)], [out], 1); console.log(JSON.stringify([model.isa, ...out]));`;
    const here = createRequire(import.meta.url)(small) as {
      create(isa: string): { run(inputs: Float32Array[], outputs: Float32Array[], runs: number): void };
    };
    const expected = new Float32Array(5);
    here.create("baseline").run([new Float32Array(128).fill(0.5)], [expected], 1);
    for (const [cpu, isa] of [
      ["Nehalem", "baseline"],
      ["Haswell", "avx2"],
    ] as const) {
      const emulated = spawnSync("qemu-x86_64", ["-cpu", cpu, process.execPath, "--jitless", "-e", code], {
        encoding: "utf8",
      });
      assert.equal(emulated.status, 0, emulated.stderr);
      const [found, ...values] = JSON.parse(emulated.stdout) as [string, ...number[]];
      assert.equal(found, isa);
      assert.ok(largestDifference(values, expected) < TOLERANCE);
    }
  });
});
