import assert from "node:assert/strict";
import { test } from "node:test";
import { compileProgram } from "../../src/compile/compile.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { runGraph } from "../../src/execute/node.js";
import { int, ints, text } from "../../src/graph/attributes.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { int64Tensor, numericData } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { countGraph } from "../../src/measure/count.js";
import { withRuntimeShapes } from "../../src/measure/runtime_shapes.js";
import { workingBatch } from "../../src/measure/working_batch.js";
import { calibrateOnImages } from "../../src/method/calibrate_on_images.js";
import { shrink } from "../../src/method/shrink.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { Layers } from "../../support/zoo/layers.js";
import { runModule } from "./run_wasm.js";
import "./self_checked.js";

// Structures of the same kinds as public networks, tiny: calibrated, shrunk, compiled, and compared with ONNX Runtime.

/** A face detector's: three scales joined from above, nine outputs [N, places, 1 | 4 | 10], scores behind Sigmoid. */
function detector(): Graph {
  const net = new Layers(1, [3, 32, 32]);
  const first = net.unit(net.unit("x", 8, { stride: 2 }), 12, { stride: 2 });
  const second = net.unit(first, 16, { stride: 2 });
  const third = net.unit(second, 16, { stride: 2 });
  const scales = net.b.floats("scales", [4], [1, 1, 2, 2]);
  const up = (x: string): string => net.op("Resize", [x, "", scales], { mode: text("nearest") });
  const lateral = (x: string): string => net.layer(x, 12, { kernel: 1, bias: true });
  const top = lateral(third);
  const middle = net.op("Mean", [lateral(second), up(top)]);
  const levels = [net.op("Sum", [lateral(first), up(middle)]), middle, top];
  const outputs = [1, 4, 10].flatMap((width) =>
    levels.map((level) => {
      const head = net.layer(net.unit(level, 8), 2 * width, { bias: true });
      const places = net.view(net.transpose(head, [0, 2, 3, 1]), [-1, width]);
      return width === 1 ? net.op("Sigmoid", [places]) : places;
    }),
  );
  return net.graph(outputs);
}

/** A text recogniser's: columns of maps as a sequence, attention by Einsum, a recurrent layer, classes at each place. */
function recogniser(): Graph {
  const net = new Layers(2, [3, 16, 32]);
  const maps = net.unit(net.unit(net.unit("x", 8, { stride: 2 }), 12, { stride: 2 }), 16);
  const columns = net.op("ReduceMean", [maps], { axes: ints([2]), keepdims: int(0) });
  const sequence = net.transpose(columns, [0, 2, 1]);
  const project = (): string => net.op("MatMul", [sequence, net.parameter("p", [16, 16], -0.3, 0.3)]);
  const [q, k, v] = [project(), project(), project()];
  const equation = (value: string) => ({ equation: text(value) });
  const scores = net.op("Softmax", [net.op("Einsum", [q, k], equation("bid,bjd->bij"))], { axis: int(-1) });
  const seen = net.add(sequence, net.op("Einsum", [scores, v], equation("bij,bjd->bid")));
  const inputs = [
    net.transpose(seen, [1, 0, 2]),
    net.parameter("w", [2, 24, 16]),
    net.parameter("r", [2, 24, 6]),
  ];
  const read = net.b.freshName("read");
  net.b.emit("LSTM", inputs, {
    attributes: { hidden_size: int(6), direction: text("bidirectional") },
    outputs: [read],
  });
  const both = net.op("Reshape", [net.transpose(read, [2, 0, 1, 3]), net.b.axes([0, 0, -1])]);
  const classes = net.op("MatMul", [both, net.parameter("c", [12, 9], -0.5, 0.5)]);
  return net.graph([net.op("Softmax", [classes], { axis: int(-1) })]);
}

/** A segmenter's: maps moved by an offset field that is computed, and the best classes of each pixel. */
function segmenter(): Graph {
  const net = new Layers(3, [3, 16, 16]);
  const base = net.unit(net.unit("x", 8, { stride: 2 }), 12);
  const flow = net.op("Tanh", [net.layer(base, 2, { bias: true })]);
  const moved = net.op("GridSample", [base, net.transpose(flow, [0, 2, 3, 1])], {
    mode: text("bilinear"),
    padding_mode: text("border"),
    align_corners: int(1),
  });
  const logits = net.layer(net.concat([net.unit(moved, 8), base]), 5, { kernel: 1, bias: true });
  const [values, classes] = [net.b.freshName("values"), net.b.freshName("classes")];
  net.b.emit("TopK", [logits, net.b.axes([2])], { attributes: { axis: int(1) }, outputs: [values, classes] });
  return net.graph([logits, values, classes]);
}

/** A super-resolver's: pixels out of channels, added to the enlarged picture. */
function superResolver(): Graph {
  const net = new Layers(4, [3, 12, 12]);
  const deep = net.add(net.unit("x", 16), net.layer(net.unit(net.unit("x", 12), 12), 16));
  const pixels = net.op("DepthToSpace", [net.layer(net.relu(deep), 12, { bias: true })], {
    blocksize: int(2),
    mode: text("CRD"),
  });
  const scales = net.b.floats("scales", [4], [1, 1, 2, 2]);
  const large = net.op("Resize", ["x", "", scales], { mode: text("cubic") });
  return net.graph([net.op("Clip", [net.add(pixels, large), net.scalar(-1), net.scalar(1)])]);
}

/** A sound model's: a spectrogram by convolution, its logarithm, running means, a recurrent layer. */
function sound(): Graph {
  const net = new Layers(5, [1, 256]);
  const bases = net.parameter("bases", [32, 1, 32], -0.3, 0.3);
  const padding = net.b.axes([0, 0, 16, 0, 0, 16]);
  const framed = net.op("Conv", [net.op("Pad", ["x", padding], { mode: text("reflect") }), bases], {
    strides: ints([16]),
  });
  const [real = "", imaginary = ""] = net.split(framed, [16, 16]);
  const power = net.add(net.op("Pow", [real, net.scalar(2)]), net.op("Pow", [imaginary, net.scalar(2)]));
  const decibels = net.op("Log", [net.add(power, net.scalar(1e-3))]);
  const axis = net.b.constant("time", int64Tensor([], [2]));
  const mean = net.mul(net.op("CumSum", [decibels, axis]), net.scalar(1 / 17));
  const frames = net.transpose(net.op("Sub", [decibels, mean]), [2, 0, 1]);
  const last = net.b.freshName("last");
  const inputs = [
    frames,
    net.parameter("w", [1, 18, 16], -0.3, 0.3),
    net.parameter("r", [1, 18, 6], -0.3, 0.3),
  ];
  net.b.emit("GRU", inputs, {
    attributes: { hidden_size: int(6), linear_before_reset: int(1) },
    outputs: ["", last],
  });
  const state = net.op("Squeeze", [last, net.b.axes([0])]);
  return net.graph([net.op("Sigmoid", [net.linear(state, 1)])]);
}

/** Compiled against ONNX Runtime, every output: what is computed in another order differs by float32's rounding. */
async function checkCompiled(graph: Graph): Promise<void> {
  const fixed = fixBatch(graph, 1);
  const shape = fixed.inputs[0]?.type?.shape?.map(Number) ?? [];
  const [, ...dims] = shape;
  const net = new Layers(9, dims);
  const feeds = net.feeds(1);
  const expected = await runGraph(fixed, feeds, { threads: 1 });
  const module = wasmModule(compileProgram(graph, wasmTarget));
  const [x] = feeds.values();
  assert.ok(x !== undefined);
  const found = runModule(module, new Map([["x", Float32Array.from(numericData(x))]]));
  assert.equal(found.size, expected.size);
  for (const [name, tensor] of expected) {
    const values = numericData(tensor);
    const own = found.get(name);
    assert.equal(own?.length, values.length);
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.ok(largest > 0, `${name} is all zero`);
    values.forEach((value, at) => {
      const difference = Math.abs(value - (own?.[at] ?? Number.NaN));
      assert.ok(difference <= 1e-4 * largest, `${name}[${at}]: ${value} became ${own?.[at]}`);
    });
  }
}

const calibrated: Readonly<Record<string, () => Graph>> = {
  "a detector with nine outputs": detector,
  "a text recogniser": recogniser,
  "a segmenter": segmenter,
  "a super-resolver": superResolver,
};

for (const [name, build] of Object.entries(calibrated)) {
  test(`${name} is calibrated, shrunk and compiled`, async () => {
    const { graph, missing } = await withRuntimeShapes(build());
    assert.deepEqual(missing, []);
    const original = importModel(graph, { verify: true });
    const count = countGraph(fixBatch(original, 1));
    assert.deepEqual(count.uncounted, []);
    const options = { data: "synthetic:200", fraction: 0.6, images: 16, threads: 1 } as const;
    const { graph: sparse } = await calibrateOnImages(original, options);
    const small = shrink(sparse);
    assert.ok(countGraph(fixBatch(small, 1)).paperMacs <= 0.6 * count.executedMacs);
    await checkCompiled(original);
    await checkCompiled(small);
  });
}

test("a sound model is counted and compiled", async () => {
  const original = importModel((await withRuntimeShapes(sound())).graph, { verify: true });
  const { uncounted, executedMacs } = countGraph(fixBatch(original, 1));
  assert.deepEqual(uncounted, []);
  // Spectrogram (17 frames of 32 outputs from 32 samples), recurrent layer, classifier.
  assert.equal(executedMacs, 17 * 32 * 32 + 17 * 18 * (16 + 6) + 6);
  await checkCompiled(original);
});

test("a network takes the batch that it is written for, or any", async () => {
  assert.equal(await workingBatch(superResolver(), 16), 16);
  assert.equal(await workingBatch(fixBatch(superResolver(), 4), 16), 16);
  const net = new Layers(6, [3, 8, 8], 17, [1, 3, 8, 8]);
  const folded = net.op("Reshape", [net.unit("x", 8), net.b.axes([1, 4, 2, 8, 8])]);
  const graph = net.graph([net.op("ReduceMean", [folded], { axes: ints([2]), keepdims: int(0) })]);
  assert.equal(await workingBatch(graph, 16), 1);
});
