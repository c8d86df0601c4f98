import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { runGraph } from "../../../src/execute/node.js";
import { readModel } from "../../../src/files/model_files.js";
import { fixBatch } from "../../../src/graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor } from "../../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../../src/graph/types.js";
import { assertNearOutputs, Network } from "../../../support/network.js";
import { sharedPath, withoutShared } from "../../../support/shared.js";
import { randomTensor, smallNetwork } from "../../../support/small_models.js";
import { tinyCnn } from "../../../support/tiny_cnn.js";
import { convnext } from "../../../support/zoo/convnext.js";
import { unet } from "../../../support/zoo/dense_prediction.js";
import { mobilenetV3, shufflenet } from "../../../support/zoo/mobile.js";
import { bottleneckResnet } from "../../../support/zoo/residual.js";
import { narrowCases } from "./narrow_cases.js";
import {
  type Build,
  command,
  compileForC,
  inDirectory,
  NAME,
  runInC,
  SANITIZERS,
  skipOf,
  WARNINGS,
  withoutCommand,
} from "./support.js";
import "../self_checked.js";

const AVX2 = ["-mavx2", "-mfma"];
const SCALAR = [`-D${NAME.toUpperCase()}_SCALAR`];

interface NamedBuild extends Build {
  readonly name: string;
}

const gcc: NamedBuild = { name: "gcc, AVX2", compiler: "gcc", flags: ["-O1", ...AVX2] };
const builds: readonly NamedBuild[] = [
  gcc,
  { name: "gcc, this machine", compiler: "gcc", flags: ["-O3", "-march=native"] },
  { name: "gcc, SSE2", compiler: "gcc", flags: ["-O1", "-msse2"] },
  { name: "gcc, one by one", compiler: "gcc", flags: ["-O0", ...SCALAR] },
  { name: "clang, this machine", compiler: "clang", flags: ["-O3", "-march=native"] },
  { name: "clang, SSE2", compiler: "clang", flags: ["-O1", "-msse2"] },
  { name: "clang, one by one", compiler: "clang", flags: ["-O1", ...SCALAR] },
];
const sanitized: NamedBuild = {
  name: "gcc, sanitizers",
  compiler: "gcc",
  flags: ["-O0", ...AVX2, ...SANITIZERS],
};

/** Absolute 1e-4 plus relative 1e-3 (of the network's outputs) from what ONNX Runtime computes. */
async function checkNetwork(graph: Graph, feeds: ReadonlyMap<string, Tensor>, build: Build): Promise<void> {
  assertNearOutputs(await runGraph(graph, feeds), runInC(compileForC(graph), feeds, build));
}

const tinyFeeds = new Map([["x", randomTensor([1, 3, 16, 16], 5)]]);

for (const build of builds) {
  test(`a small residual network: ${build.name}`, { skip: skipOf(build) }, () =>
    checkNetwork(tinyCnn(), tinyFeeds, build),
  );
}

test("weights give the same bits wherever they stand", { skip: skipOf(gcc) }, async () => {
  const program = compileForC(smallNetwork());
  const feeds = new Map([["x", randomTensor([1, 2, 8, 8], 5)]]);
  const inside = runInC(program, feeds, gcc);
  for (const weights of ["separate", "binary"] as const) {
    assert.deepEqual(runInC(program, feeds, { ...gcc, weights }), inside, weights);
  }
  assertNearOutputs(await runGraph(fixBatch(smallNetwork(), 1), feeds), inside);
});

/** With all kinds of convolution kernels; every tensor that is passed has exactly its size. */
const architectures: Readonly<Record<string, () => { readonly graph: Graph; readonly net: Network }>> = {
  ConvNeXt: () => convnext("operator"),
  "MobileNet v3": mobilenetV3,
  "ShuffleNet v2": shufflenet,
  "U-Net with ConvTranspose": () => unet("transpose"),
};

for (const [name, build] of Object.entries({ ...architectures, ...narrowCases })) {
  test(`${name}: no read or write outside, nothing undefined`, { skip: skipOf(sanitized) }, () => {
    const { graph, net } = build();
    return checkNetwork(graph, net.feeds(1), { ...sanitized, weights: "binary" });
  });
}

test("weights in the source are read inside their arrays", { skip: skipOf(sanitized) }, () => {
  const { graph, net } = bottleneckResnet({ group: 1, ratio: 1 / 2 });
  return checkNetwork(graph, net.feeds(1), sanitized);
});

test("several inputs and outputs come in the model's order", { skip: skipOf(sanitized) }, async () => {
  const net = new Network(1, [3, 5, 7]);
  const graph = net.graph([net.relu("x"), net.op("Add", ["x", net.conv("x", 3, { pad: 1 })])]);
  const program = compileForC(graph);
  assert.deepEqual(
    program.outputs.map(({ name }) => name),
    graph.outputs.map(({ name }) => name),
  );
  await checkNetwork(graph, net.feeds(1), sanitized);
});

interface SharedModel {
  readonly file: string;
  readonly dims: readonly number[];
  /** PyTorch's own input and output, of two images. */
  readonly hasValues: boolean;
}

const shared: readonly SharedModel[] = [
  { file: "resnet20", dims: [3, 32, 32], hasValues: false },
  { file: "zoo/shufflenet_v2_x0_5", dims: [3, 64, 64], hasValues: true },
];

const floats = (file: string): Float32Array => {
  const bytes = readFileSync(sharedPath(file));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
};

for (const { file, dims, hasValues } of shared) {
  const skip = withoutShared(`models/${file}.onnx`) || skipOf(gcc);
  test(`${file} gives PyTorch's or ONNX Runtime's logits within 1e-3`, { skip }, async () => {
    const graph = await readModel(sharedPath(`models/${file}.onnx`));
    const program = compileForC(graph);
    const [port] = program.inputs;
    const elements = dims.reduce((product, dim) => product * dim, 1);
    const data = hasValues
      ? floats(`models/${file}.input.f32`).slice(0, elements)
      : float32Data(randomTensor([elements], 3));
    const feeds = new Map([[port?.name ?? "", float32Tensor([1, ...dims], data)]]);
    const [found] = runInC(program, feeds, { ...gcc, weights: "binary" }).values();
    const [computed] = (await runGraph(graph, feeds)).values();
    assert.ok(found !== undefined && computed !== undefined);
    const want = hasValues ? floats(`models/${file}.output.f32`) : float32Data(computed);
    float32Data(found).forEach((value, index) => {
      const expected = want[index] ?? Number.NaN;
      assert.ok(Math.abs(value - expected) <= 1e-3, `logit ${index}: expected ${expected}, found ${value}`);
    });
  });
}

const CROSS = "aarch64-linux-gnu-gcc";

test(
  "64-bit ARM: the same values under an emulator",
  {
    skip: skipOf({ compiler: CROSS, flags: ["-static"] }) || withoutCommand("qemu-aarch64"),
  },
  () =>
    checkNetwork(tinyCnn(), tinyFeeds, {
      compiler: CROSS,
      flags: ["-O2", "-static"],
      runner: ["qemu-aarch64"],
    }),
);

test("64-bit ARM: Clang compiles without a warning, to fused multiply-adds on vectors", {
  skip: withoutCommand("clang"),
}, (context) => {
  const target = ["--target=aarch64-linux-gnu", "-ffreestanding", "-O2", "-S"];
  inDirectory(compileForC(tinyCnn()), {}, (directory) => {
    const assembly = command(directory, "clang", [...WARNINGS, ...target, `${NAME}.c`, "-o", "-"]).toString();
    context.diagnostic(`${assembly.split("\n").length} lines`);
    assert.match(assembly, /fmla\s+v\d+\.4s/);
  });
});
