import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import type { Compilation } from "../../src/cli/compile_text.js";
import { compileToWasm } from "../../src/compile/index.js";
import type { Lowering } from "../../src/compile/lower/definition.js";
import { lowerings } from "../../src/compile/lower/registry.js";
import { behind } from "../../src/compile/program_builder.js";
import { writeModel } from "../../src/files/model_files.js";
import { int } from "../../src/graph/attributes.js";
import { imagenetPreprocessing, PREPROCESSING_KEY } from "../../src/graph/image_metadata.js";
import { SELF_CHECK } from "../../src/graph/self_check.js";
import type { Graph } from "../../src/graph/types.js";
import { decompose } from "../../src/method/decompose.js";
import { pruneCoefficients } from "../../src/method/prune.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { load, type Model } from "../../src/runtime/index.js";
import { withoutCompiler } from "../../support/addon.js";
import { penni } from "../../support/command_line.js";
import { Network } from "../../support/network.js";
import { node, smallGraph, smallNetwork } from "../../support/small_models.js";
import { tinyCnn } from "../../support/tiny_cnn.js";
import { redSquareDetector } from "../examples/red_square_detector.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-compile-"));
after(() => rmSync(folder, { recursive: true, force: true }));

async function modelFile(name: string, graph: Graph): Promise<string> {
  const file = path.join(folder, name);
  await writeModel(file, graph);
  return file;
}

function gemmOnly(): Graph {
  const net = new Network(1, [8], 17, [1, 8]);
  return net.graph([net.gemm("x", 4)]);
}

let directories = 0;
const newDirectory = (): string => path.join(folder, `out-${directories++}`);

/** Compiles without complaint; what was printed, and where it is. */
async function compiled(
  ...args: readonly string[]
): Promise<{ readonly out: string; readonly stdout: string }> {
  const out = newDirectory();
  const { status, stdout, stderr } = await penni(["compile", ...args, "-o", out]);
  assert.deepEqual([status, stderr], [0, ""]);
  return { out, stdout };
}

const small = await modelFile("small-net 2.onnx", smallNetwork());
const unsupported = await modelFile("unsupported.onnx", smallGraph([1, 4], [node("Det", ["x"], "y")], {}));
const damagedMetadata = await modelFile("metadata.onnx", {
  ...smallNetwork(),
  metadata: new Map([[PREPROCESSING_KEY, "{"]]),
});
const tiny = await modelFile("tiny.onnx", tinyCnn());
const sparse = await modelFile(
  "sparse.onnx",
  pruneCoefficients(decompose(simplify(tinyCnn()), { basis: 3 }), { factor: 1 }).graph,
);

test("a WebAssembly module, named after the model as C allows, that the loader runs", async () => {
  const { out, stdout } = await compiled(small, "--target", "wasm");
  assert.deepEqual(readdirSync(out), ["small_net_2.wasm"]);
  const bytes = readFileSync(path.join(out, "small_net_2.wasm"));
  assert.deepEqual(new Uint8Array(bytes), compileToWasm(smallNetwork()));
  assert.equal((await load(bytes)).run(new Float32Array(256)).length, 10);
  const sizes = [bytes, gzipSync(bytes)].map(({ length }) => length.toLocaleString("en-US"));
  assert.match(stdout, /^layer +operator +kernels +(?:when loaded +)?MACs\nc1\/Conv +Conv /);
  assert.match(
    stdout,
    /^Totals: [\d,]+ multiply-accumulates executed in one run, [\d,]+ bytes of weights, /m,
  );
  assert.ok(stdout.endsWith(`small_net_2.wasm: ${sizes[0]} bytes, gzipped ${sizes[1]}\n`));
});

test("--prepare says where a model has nothing to make ready", async () => {
  const gemm = await modelFile("gemm.onnx", gemmOnly());
  const out = newDirectory();
  const { status, stdout, stderr } = await penni(["compile", gemm, "--target", "c", "--prepare", "-o", out]);
  assert.equal(status, 0);
  assert.equal(
    stderr,
    "There is nothing to make ready in this model: gemm_run is the same as without --prepare.\n",
  );
  assert.doesNotMatch(stdout, /when they are loaded/);
  assert.doesNotMatch(readFileSync(path.join(out, "gemm.h"), "utf8"), /prepare/i);
});

test("--json: layers with their kernels, sizes and sums", async () => {
  const { out, stdout } = await compiled(sparse, "--target", "wasm", "--json", "--name", "net");
  const result = JSON.parse(stdout) as Compilation & { readonly model: string; readonly target: string };
  const { layers, multiplyAccumulates, weightBytes, arenaBytes, files } = result;
  assert.deepEqual([result.model, result.target, result.directory], [sparse, "wasm", out]);
  assert.deepEqual(
    files.map(({ name }) => name),
    ["net.wasm"],
  );
  assert.equal(files[0]?.bytes, readFileSync(path.join(out, "net.wasm")).length);
  assert.equal(
    multiplyAccumulates,
    layers.reduce((sum, layer) => sum + layer.multiplyAccumulates, 0),
  );
  const kernels = layers.flatMap((layer) => layer.kernels);
  assert.ok(kernels.some((kernel) => kernel.startsWith("sparse_conv")));
  assert.ok(weightBytes > 0 && arenaBytes > 0);
  const dense = JSON.parse((await compiled(tiny, "--target", "wasm", "--json")).stdout) as Compilation;
  assert.ok(multiplyAccumulates < dense.multiplyAccumulates);
});

test("--example: a page, the loader beside it, and how to use both, which works as it stands", async () => {
  const { out } = await compiled(tiny, "--target", "wasm", "--example");
  assert.deepEqual(readdirSync(out).toSorted(), [
    "README.md",
    "index.html",
    "penni-pictures.js",
    "penni-runtime.js",
    "tiny.wasm",
  ]);
  const code = /```js\n([\s\S]*?)```/.exec(readFileSync(path.join(out, "README.md"), "utf8"))?.[1];
  assert.ok(code !== undefined);
  const program = path.join(out, "program.mjs");
  writeFileSync(program, `${code}\nexport { model, output };`);
  const { output } = (await import(pathToFileURL(program).href)) as { readonly output: Float32Array };
  assert.equal(output.length, 10);
});

test("--classes names what a file does not: a detector's page then reads its boxes, a classifier's needs as many", async () => {
  const named = redSquareDetector();
  const detector = await modelFile("detector.onnx", {
    ...named,
    metadata: new Map([...named.metadata].filter(([key]) => key === PREPROCESSING_KEY)),
  });
  const names = path.join(folder, "names.txt");
  writeFileSync(names, "red thing\n");
  const page = [detector, "--target", "wasm", "--example"];
  const unnamed = newDirectory();
  const { status: unnamedStatus, stderr: note } = await penni(["compile", ...page, "-o", unnamed]);
  assert.equal(unnamedStatus, 0, note);
  assert.match(note, /which boxes .* cannot be told without class names.*compile --classes FILE/);
  assert.ok(!readdirSync(unnamed).includes("penni-boxes.js"));
  const { out } = await compiled(...page, "--classes", names);
  assert.ok(readdirSync(out).includes("penni-boxes.js"));
  assert.match(readFileSync(path.join(out, "README.md"), "utf8"), /findBoxes\(model, image\)/);
  const model = await load(path.join(out, "detector.wasm"));
  assert.deepEqual(model.classNames, ["red thing"]);
  assert.equal(model.fit?.resize, "letterbox");
  const { status, stderr } = await penni([
    ...["compile", tiny, "--target", "wasm", "-o", newDirectory(), "--classes", names],
  ]);
  assert.equal(status, 1);
  assert.match(stderr, /not as many class names as the model has scores: expected 10 names/);
});

test("an addon for Node, which says how it was built, and a server around it that answers", {
  skip: withoutCompiler,
}, async () => {
  const { out, stdout } = await compiled(tiny, "--target", "node", "--example");
  assert.deepEqual(readdirSync(out).toSorted(), ["penni-runtime.mjs", "server.mjs", "tiny.node"]);
  assert.match(
    stdout.replaceAll("\n", " "),
    /Code for \w+(?:, chosen when loaded from .*baseline)?; built by \S/,
  );
  const { builtWith, files } = JSON.parse(
    (await compiled(tiny, "--target", "node", "--json")).stdout,
  ) as Compilation;
  assert.deepEqual(
    files.map(({ name }) => name),
    ["tiny.node"],
  );
  assert.equal(builtWith?.instructionSets.at(-1), "baseline");
  const server = spawn(process.execPath, ["server.mjs"], { cwd: out, env: { ...process.env, PORT: "0" } });
  try {
    const [line] = (await once(createInterface({ input: server.stdout }), "line")) as [string];
    const [address = ""] = line.split(" ");
    const bytes = Number(await (await fetch(address)).text());
    assert.equal(bytes, 4 * 3 * 16 * 16);
    const model = await load(path.join(out, "tiny.node"));
    const input = Float32Array.from({ length: bytes / 4 }, (_, index) => Math.sin(index));
    const post = (body: Float32Array): Promise<Response> => fetch(address, { method: "POST", body });
    const answer = async (): Promise<Record<string, number[]>> =>
      (await (await post(input)).json()) as Record<string, number[]>;
    const answers = await Promise.all(Array.from({ length: 8 }, answer));
    const [output] = model.outputs;
    for (const each of answers)
      assert.deepEqual(Float32Array.from(each[output?.name ?? ""] ?? []), model.run(input));
    const wrong = await post(input.subarray(1));
    assert.deepEqual(
      [wrong.status, await wrong.text()],
      [400, `expected ${bytes} bytes, found ${bytes - 4}`],
    );
  } finally {
    server.kill();
    await once(server, "close");
  }
});

test("an addon is measured beside the model it was made of, and judged by a budget", {
  skip: withoutCompiler,
}, async () => {
  const { out } = await compiled(tiny, "--target", "node");
  const addon = path.join(out, "tiny.node");
  const budget = path.join(out, "budget.json");
  writeFileSync(budget, JSON.stringify({ atMost: { bytes: 1e7, memoryBytes: 1e7, timeRatio: 1e3 } }));
  const { status, stdout, stderr } = await penni([
    ...["bench", addon, tiny, "--rounds", "1", "--data", "synthetic:60", "--json", "--budget", budget],
  ]);
  assert.equal(status, 0, stderr);
  const { models, budget: lines } = JSON.parse(stdout);
  assert.deepEqual([models[0].engines.length, models[0].engines[0].kind, lines.length], [1, "addon", 3]);
  assert.equal(models[0].engines[0].bytes, readFileSync(addon).length);
  assert.deepEqual(models[0].accuracy, models[1].accuracy);
  const text = await penni(["bench", addon, tiny, "--rounds", "1"]);
  assert.match(text.stdout, /compiled addon/);
  writeFileSync(path.join(out, "broken.node"), "no addon");
  const broken = await penni(["bench", path.join(out, "broken.node")]);
  assert.match(broken.stderr, /broken\.node: cannot be read: cannot load .*the file is cut off/);
});

for (const weights of ["inside", "separate", "binary"]) {
  test(`C with its weights ${weights}`, async () => {
    const { out, stdout } = await compiled(tiny, "--target", "c", "--weights", weights, "--json");
    const names = readdirSync(out);
    assert.ok(names.includes("tiny.c") && names.includes("tiny.h"));
    const { files } = JSON.parse(stdout) as Compilation;
    assert.deepEqual(files.map(({ name }) => name).toSorted(), names.toSorted());
  });
}

for (const target of ["wasm", "c"]) {
  test(`--verify and --debug change nothing of what is written: ${target}`, async (t) => {
    const before = process.env[SELF_CHECK];
    t.after(() => {
      if (before === undefined) delete process.env[SELF_CHECK];
      else process.env[SELF_CHECK] = before;
    });
    const contents = async (...args: readonly string[]): Promise<readonly Buffer[]> => {
      const { out } = await compiled(tiny, "--target", target, ...args);
      return readdirSync(out).map((name) => readFileSync(path.join(out, name)));
    };
    const plain = await contents();
    assert.deepEqual(await contents("--verify"), plain);
    assert.deepEqual(await contents("--debug"), plain);
    assert.equal(process.env[SELF_CHECK], "1");
  });
}

test("--verify finds a program that writes where it must not", async (t) => {
  const table: Record<string, Lowering> = lowerings;
  const { GlobalAveragePool: right } = lowerings;
  t.after(() => {
    table.GlobalAveragePool = right;
  });
  table.GlobalAveragePool = {
    lower: (context) => right.lower({ ...context, write: (index) => behind(context.write(index), 1) }),
  };
  const out = newDirectory();
  const { status, stderr } = await penni(["compile", tiny, "--target", "wasm", "--verify", "-o", out]);
  assert.equal(status, 1);
  assert.match(stderr, /^penni: .*tiny\.onnx: node .*GlobalAveragePool.*writes outside of "output"/);
  assert.ok(!existsSync(out));
});

async function compiledModel(file: string, ...args: readonly string[]): Promise<Model> {
  const { out } = await compiled(file, "--target", "wasm", "--name", "model", ...args);
  return load(path.join(out, "model.wasm"));
}

test("--input-shape fixes what a model leaves open", async () => {
  const open = await modelFile("open.onnx", smallGraph(["N", 3, "H", "W"], [node("Relu", ["x"], "y")], {}));
  const model = await compiledModel(open, "--input-shape", "x:5x3x4x6");
  assert.deepEqual(model.inputs[0]?.dims, [5, 3, 4, 6]);
  const { stderr } = await penni(["compile", open, "--target", "wasm", "-o", newDirectory()]);
  assert.match(stderr, /^penni: .*open\.onnx: .*\n$/);
});

test("images are preprocessed as metadata or options say, else as ImageNet's", async () => {
  const scores = (channels: number, metadata: Graph["metadata"] = new Map()): Graph => ({
    ...smallGraph([1, channels, 1, 2], [node("Flatten", ["x"], "y", { axis: int(1) })], {}),
    metadata,
  });
  const image = { width: 2, height: 1, data: Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 255) };
  /** log p(white) - log p(black) of a channel: 1 / std. */
  const contrast = (model: Model, channel: number): number => {
    const all = model.classify(image);
    const [white, black] = [0, 1].map((x) => all.find(({ index }) => index === 2 * channel + x)?.probability);
    return Math.log((white ?? 0) / (black ?? 0));
  };
  const near = (found: number, std: number): void => assert.ok(Math.abs(found - 1 / std) < 1e-4);
  const plain = await modelFile("plain.onnx", scores(3));
  const stated = { ...imagenetPreprocessing, std: [0.5, 0.5, 0.5] };
  const metadata = new Map([[PREPROCESSING_KEY, JSON.stringify(stated)]]);
  near(contrast(await compiledModel(plain), 1), 0.224);
  near(contrast(await compiledModel(plain, "--std", "1,2,4"), 1), 2);
  near(contrast(await compiledModel(await modelFile("stated.onnx", scores(3, metadata))), 1), 0.5);
  const grey = await modelFile("grey.onnx", scores(1));
  near(contrast(await compiledModel(grey, "--mean", "0", "--std", "0.25"), 0), 0.25);
});

const damaged = path.join(folder, "damaged.onnx");
writeFileSync(damaged, readFileSync(small).subarray(0, 500));
const full = path.join(folder, "full");
mkdirSync(full);
writeFileSync(path.join(full, "mine.txt"), "mine");

const refusals: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["no target", [small], /required option '--target <name>'/],
  ["an unknown target", [small, "--target", "rust"], /wasm, c, node/],
  ["a missing file", [path.join(folder, "none.onnx"), "--target", "wasm"], /none\.onnx: cannot read/],
  ["a damaged model", [damaged, "--target", "wasm"], /damaged\.onnx/],
  ["an unknown operator", [unsupported, "--target", "wasm"], /unsupported\.onnx: node "y\/Det" \(Det\)/],
  ["damaged metadata", [damagedMetadata, "--target", "wasm"], /metadata\.onnx: .*penni\.preprocessing/],
  ["a name that is none in C", [small, "--target", "c", "--name", "a-b"], /expected a letter.*found "a-b"/],
  ["a C keyword", [small, "--target", "wasm", "--name", "for"], /found "for"/],
  ["a path as a name", [small, "--target", "wasm", "--name", "../x"], /found "\.\.\/x"/],
  ["--weights for WebAssembly", [small, "--target", "wasm", "--weights", "separate"], /--target c/],
  ["--weights for an addon", [small, "--target", "node", "--weights", "binary"], /--target c/],
  [
    "--cross for what is no machine code",
    [small, "--target", "wasm", "--cross", "aarch64"],
    /found --target wasm/,
  ],
  [
    "--prepare for what always does",
    [small, "--target", "wasm", "--prepare"],
    /expected --prepare with --target c, found --target wasm\. Leave --prepare out/,
  ],
  ["--cross for no processor", [small, "--target", "node", "--cross", "z80"], /aarch64, x86_64/],
  ["a wrong input", [small, "--target", "wasm", "--input-shape", "y:1x2"], /no input "y"/],
];

for (const [what, args, message] of refusals) {
  test(`refused before anything is written: ${what}`, async () => {
    const out = newDirectory();
    const { status, stdout, stderr } = await penni(["compile", ...args, "-o", out]);
    assert.deepEqual([status, stdout], [1, ""]);
    assert.match(stderr, message);
    assert.match(stderr, /^penni: [^\n]+\n$/);
    assert.ok(!existsSync(out));
  });
}

test("refused directories: full, a file, below a file, where nothing can be made", async () => {
  const places = [
    [full, /full: this directory is not empty/],
    [small, /: this is a file, where a directory is needed\. Name a directory/],
    [path.join(small, "below"), /below: a part of this path is a file: found the file .+\.onnx\. /],
    [
      path.join(newDirectory(), "net.wasm"),
      /net\.wasm: this is a name for a file, where a directory is needed\. .* \S+net: /,
    ],
    ["/proc/penni/out", /cannot write into the directory/],
  ] as const;
  for (const [out, message] of places) {
    const { status, stdout, stderr } = await penni(["compile", small, "--target", "wasm", "-o", out]);
    assert.deepEqual([status, stdout], [1, ""]);
    assert.match(stderr, message);
  }
  assert.deepEqual(readdirSync(full), ["mine.txt"]);
});

test("an empty directory, and one below others that are missing, are filled", async () => {
  const empty = newDirectory();
  mkdirSync(empty);
  for (const out of [empty, path.join(newDirectory(), "a", "b")]) {
    assert.equal((await penni(["compile", small, "--target", "wasm", "-o", out])).status, 0);
    assert.deepEqual(readdirSync(out), ["small_net_2.wasm"]);
  }
});
