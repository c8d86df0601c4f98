import assert from "node:assert/strict";
import { test } from "node:test";
import { readModel } from "../../src/files/model_files.js";
import { int, ints } from "../../src/graph/attributes.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { checkPlan, layerChannels, planShrink, shrink } from "../../src/method/shrink.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { assertSameOutputs, Network } from "../../support/network.js";
import { randomSource } from "../../support/opcase.js";
import { sharedPath, withoutShared } from "../../support/shared.js";

/** "inputs>outputs" of every layer. */
function widths(graph: Graph): readonly string[] {
  return layerChannels(graph).map(({ inputs, outputs }) => `${inputs}>${outputs}`);
}

async function assertShrinksTo(
  net: Network,
  outputs: readonly string[],
  expected: readonly string[],
): Promise<Graph> {
  const graph = net.graph(outputs);
  const small = shrink(graph);
  await assertSameOutputs(graph, small, net.feeds());
  assert.deepEqual(widths(small), expected);
  return small;
}

test("a channel that nobody reads goes, with everything that made it", async () => {
  const net = new Network(1);
  const hidden = net.relu(net.norm(net.conv("x", 8, { pad: 1, bias: true })));
  const small = await assertShrinksTo(net, [net.conv(hidden, 4, { deadInputs: [0, 3, 7] })], ["3>5", "5>4"]);
  assert.equal(shrink(small), small);
});

test("with a multiple, channels stay to make blocks, and the outputs are the same", async () => {
  const net = new Network(11);
  const hidden = net.relu(net.conv("x", 16, { pad: 1, bias: true }));
  const graph = net.graph([net.conv(hidden, 4, { deadInputs: [0, 3, 5, 7, 8, 9, 15] })]);
  for (const [multiple, width] of [
    [1, 9],
    [4, 12],
    [8, 16],
    [5, 10],
  ] as const) {
    const small = shrink(graph, { multiple });
    await assertSameOutputs(graph, small, net.feeds());
    assert.deepEqual(widths(small), [`3>${width}`, `${width}>4`]);
  }
});

test("a dead channel after BatchNormalization and Relu is a constant: folded into a convolution without padding", async () => {
  const net = new Network(2);
  const shifted = net.norm(net.conv("x", 6, { deadOutputs: [1, 2, 4] }), [0, 50, -50, 0, 30, 0]);
  const small = await assertShrinksTo(net, [net.conv(net.relu(shifted), 4)], ["3>3", "3>4"]);
  assert.equal(small.nodes.at(-1)?.inputs.length, 3, "the shift went into a new bias");
});

test("before zero padding the constant channels are merged into one, zeros go", async () => {
  for (const basis of [undefined, 5]) {
    // Large enough for a map of what they add to be larger than a channel.
    const net = new Network(3, [3, 12, 12]);
    const shifted = net.norm(net.conv("x", 6, { deadOutputs: [1, 2, 4] }), [0, 50, -50, 0, 30, 0]);
    const options = { pad: 1, ...(basis === undefined ? {} : { basis }) };
    await assertShrinksTo(net, [net.conv(net.relu(shifted), 4, options)], ["3>4", "4>4"]);
  }
});

test("channels of a residual stream stay or go together", async () => {
  const net = new Network(4);
  const stream = net.relu(net.conv("x", 6, { pad: 1 }));
  const branch = net.conv(net.relu(net.conv(stream, 5, { pad: 1, deadInputs: [0, 1] })), 6, {
    pad: 1,
    deadInputs: [2],
  });
  const sum = net.relu(net.op("Add", [stream, branch]));
  // Channel 0 is read by nobody, channel 1 by the last convolution only.
  await assertShrinksTo(net, [net.conv(sum, 3, { deadInputs: [0] })], ["3>5", "5>4", "4>5", "5>3"]);
});

test("a branch that is constant becomes an operand and its convolutions go", async () => {
  const net = new Network(5);
  const stream = net.conv("x", 4, { pad: 1 });
  const branch = net.conv(net.relu(net.conv(stream, 7, { pad: 1 })), 4, {
    bias: true,
    pad: 1,
    deadOutputs: [0, 1, 2, 3],
  });
  await assertShrinksTo(net, [net.conv(net.op("Add", [stream, branch]), 2)], ["3>4", "4>2"]);
});

test("an option-A shortcut: strided Slice and Pad of the channel axis", async () => {
  const net = new Network(6, [3, 8, 8]);
  const stream = net.relu(net.conv("x", 4, { pad: 1 }));
  const strided = net.op("Slice", [
    stream,
    net.b.axes([0, 0]),
    net.b.axes([8, 8]),
    net.b.axes([2, 3]),
    net.b.axes([2, 2]),
  ]);
  const shortcut = net.op("Pad", [strided, net.b.axes([0, 2, 0, 0, 0, 2, 0, 0])]);
  const branch = net.conv(net.relu(net.conv(stream, 6, { pad: 1, stride: 2 })), 8, { pad: 1 });
  const sum = net.relu(net.op("Add", [branch, shortcut]));
  // Lane 0 and 7 are padding, lane 3 is channel 1 of the stream, which the branch still reads.
  await assertShrinksTo(net, [net.conv(sum, 3, { deadInputs: [0, 3, 7] })], ["3>4", "4>6", "6>6", "6>3"]);
});

test("Concat, Split and Slice along the channel axis", async () => {
  const net = new Network(7);
  const left = net.relu(net.conv("x", 4));
  const right = net.relu(net.conv("x", 5));
  const both = net.op("Concat", [left, right], { axis: int(1) });
  const [first = "", second = ""] = ["part_1", "part_2"];
  net.b.emit("Split", [both, net.b.axes([6, 3])], { outputs: [first, second], attributes: { axis: int(1) } });
  const third = net.op("Slice", [both, net.b.axes([1]), net.b.axes([-1]), net.b.axes([1])]);
  const outputs = [
    net.conv(first, 2, { deadInputs: [0, 1, 4] }),
    net.conv(second, 2, { deadInputs: [1, 2] }),
    net.conv(third, 2, { deadInputs: [0, 1, 3, 6] }),
  ];
  // Of the nine lanes 2, 3, 5 and 6 are read; the Slice passes all of them on, though its reader wants three.
  await assertShrinksTo(net, outputs, ["3>2", "3>2", "3>2", "1>2", "4>2"]);
});

test("a channel becomes H * W features behind Flatten and Reshape", async () => {
  for (const kind of ["Flatten", "Reshape", "Reshape -1", "pool"]) {
    const net = new Network(8, [3, 4, 4]);
    const hidden = net.relu(net.conv("x", 5, { deadOutputs: [2], bias: true }));
    const features =
      kind === "Flatten"
        ? net.op("Flatten", [hidden])
        : kind === "pool"
          ? net.op("Flatten", [net.op("GlobalAveragePool", [hidden])])
          : net.op("Reshape", [hidden, net.b.axes(kind === "Reshape" ? [-1, 20] : [0, -1])]);
    const perChannel = net.channels(features) / 5;
    // Channel 4 is not read at all; of channel 0 one feature is.
    const dead = [...Array.from({ length: perChannel }, (_, at) => 4 * perChannel + at), 1];
    const output = net.gemm(net.relu(net.gemm(features, 6, perChannel > 1 ? dead : [4])), 2, [5]);
    await assertShrinksTo(net, [output], ["3>3", `${3 * perChannel}>5`, "5>2"]);
  }
});

test("depthwise and grouped convolutions lose whole groups", async () => {
  const net = new Network(9);
  const hidden = net.relu(net.norm(net.conv("x", 6, { pad: 1 })));
  const depthwise = net.relu(net.conv(hidden, 12, { group: 6, pad: 1 }));
  const grouped = net.conv(depthwise, 6, { kernel: 1, group: 3 });
  // Outputs 2 and 3 are group 1: inputs 4 to 7, depthwise channels 2 and 3. Output 5 is needed beside 4.
  await assertShrinksTo(net, [net.conv(grouped, 2, { deadInputs: [2, 3, 5] })], ["3>4", "4>8", "8>4", "4>2"]);
  const other = new Network(10);
  const wide = other.relu(other.conv(other.conv("x", 6), 12, { group: 6, pad: 1 }));
  await assertShrinksTo(other, [other.conv(wide, 2, { deadInputs: [2, 3, 5] })], ["3>5", "5>10", "10>2"]);
});

test("Squeeze-and-Excitation: the gate is [N, C, 1, 1]", async () => {
  const net = new Network(11);
  const hidden = net.relu(net.conv("x", 6));
  const squeezed = net.relu(
    net.conv(net.op("GlobalAveragePool", [hidden]), 3, { kernel: 1, deadInputs: [5] }),
  );
  const gate = net.op("Sigmoid", [net.conv(squeezed, 6, { kernel: 1, bias: true })]);
  const scaled = net.op("Mul", [hidden, gate]);
  await assertShrinksTo(net, [net.conv(scaled, 2, { deadInputs: [5] })], ["3>5", "5>3", "3>5", "5>2"]);
});

test("decomposed layers: rows of coefficients and unused basis kernels go", async () => {
  const net = new Network(12);
  const hidden = net.relu(net.conv("x", 6, { basis: 5, pad: 1, deadBasis: [1, 4] }));
  const small = await assertShrinksTo(
    net,
    [net.conv(hidden, 4, { basis: 4, deadInputs: [0, 2, 3] })],
    ["3>3", "3>4"],
  );
  assert.deepEqual(
    layerChannels(small).map((layer) => layer.pairs),
    [
      { total: 9, live: 9 },
      { total: 12, live: 12 },
    ],
  );
});

test("a weight that two convolutions share is sliced for each of them", async () => {
  const net = new Network(13);
  const weight = net.parameter("weight", [4, 4, 3, 3]);
  const first = net.conv("x", 4);
  const both = [net.op("Conv", [first, weight]), net.op("Conv", [net.relu(first), weight])];
  const outputs = both.map((value, at) =>
    net.conv(value, 2, { kernel: 1, deadInputs: at === 0 ? [0] : [1, 2] }),
  );
  await assertShrinksTo(net, outputs, ["3>4", "4>3", "4>2", "3>2", "2>2"]);
});

test("a decomposed weight that two convolutions share keeps its channels", async () => {
  const net = new Network(21);
  const first = net.conv("x", 4, { basis: 3, pad: 1 });
  const weight = net.b.nodes.at(-1)?.inputs[1] ?? "";
  const second = net.op("Conv", [net.conv("x", 3, { kernel: 1 }), weight]);
  const outputs = [net.conv(first, 2, { deadInputs: [0] }), net.conv(second, 2, { deadInputs: [1] })];
  const graph = net.graph(outputs);
  assert.equal(shrink(graph), graph);
  assert.match(
    planShrink(graph)
      .walls.map(({ reason }) => reason)
      .join(),
    /weight is not a float32 constant/,
  );
});

test("heights and widths need not be known", async () => {
  const net = new Network(22, [3, 7, 9], 17, ["batch", 3, "height", "width"]);
  const hidden = net.op("MaxPool", [net.relu(net.conv("x", 5, { pad: 1, stride: 2 }))], {
    kernel_shape: ints([2, 2]),
  });
  const sum = net.op("Add", [hidden, net.norm(net.conv(hidden, 5, { kernel: 1, deadInputs: [1, 2] }))]);
  const rows = net.op("Reshape", [sum, net.b.axes([0, 5, -1])]);
  const pooled = net.op("ReduceMean", [rows], { axes: ints([2]), keepdims: int(0) });
  await assertShrinksTo(net, [net.gemm(pooled, 2, [1, 2])], ["3>3", "3>3", "3>2"]);
});

test("walls keep their channels and are reported", async () => {
  const net = new Network(14);
  const hidden = net.conv("x", 6);
  const soft = net.op("Softmax", [hidden], { axis: int(1) });
  const graph = net.graph([net.conv(soft, 2, { deadInputs: [0, 1] })]);
  const plan = planShrink(graph);
  assert.deepEqual(
    plan.walls.map(({ node }) => node.op),
    ["Softmax"],
  );
  assert.match(plan.walls[0]?.reason ?? "", /normalises over the channels/);
  assert.equal(shrink(graph), graph);
});

test("a value all of whose channels are dead keeps one", async () => {
  const net = new Network(15);
  const hidden = net.relu(net.conv("x", 4));
  await assertShrinksTo(net, [net.conv(hidden, 3, { bias: true, deadOutputs: [0, 1, 2] })], ["3>1", "1>3"]);
});

test("checkPlan refuses a plan that would change the outputs", () => {
  const net = new Network(16);
  const hidden = net.conv("x", 4);
  const output = net.conv(net.relu(hidden), 2, { deadInputs: [0] });
  const graph = net.graph([output]);
  const plan = planShrink(graph);
  checkPlan(graph, plan);
  const [rectified = ""] = graph.nodes[1]?.outputs ?? [];
  const bad = (kept: ReadonlyMap<string, readonly number[]>): void =>
    assert.throws(() => checkPlan(graph, { ...plan, kept }), /the shrink plan is not exact/);
  bad(new Map([[hidden, [1, 2, 3]]]));
  bad(new Map([hidden, rectified].map((name) => [name, [2, 3]] as const)));
  bad(new Map([[output, [0]]]));
  bad(new Map([hidden, rectified].map((name) => [name, []] as const)));
});

test("where a constant channel stops being constant it stays: zero padding, averages over padding", async () => {
  const kernel = { kernel_shape: ints([2, 2]), pads: ints([1, 1, 0, 0]) };
  const edge = { mode: { kind: "string", value: "edge" } } as const;
  const through: Readonly<Record<string, readonly [string, (net: Network, x: string) => string]>> = {
    "Pad with zeros": ["3>4", (net, x) => net.op("Pad", [x, net.b.axes([0, 0, 1, 0, 0, 0, 0, 1])])],
    // Channel 1 holds 2 everywhere, but channel 3 no longer 0.
    "Pad with the constant itself": [
      "3>4",
      (net, x) => net.op("Pad", [x, net.b.axes([0, 0, 1, 0, 0, 0, 0, 1]), net.b.scalar(2)]),
    ],
    "Pad with the edge": ["3>3", (net, x) => net.op("Pad", [x, net.b.axes([0, 0, 1, 0, 0, 0, 0, 1])], edge)],
    "average with padding": [
      "3>4",
      (net, x) => net.op("AveragePool", [x], { ...kernel, count_include_pad: int(1) }),
    ],
    "average without padding": ["3>3", (net, x) => net.op("AveragePool", [x], kernel)],
    maximum: ["3>3", (net, x) => net.op("MaxPool", [x], kernel)],
  };
  for (const [expected, layer] of Object.values(through)) {
    const net = new Network(18);
    const hidden = net.op("Clip", [
      net.norm(net.conv("x", 5, { deadOutputs: [1, 3] }), [0, 50, 0, -50, 0]),
      net.b.scalar(0),
      net.b.scalar(2),
    ]);
    await assertShrinksTo(net, [net.conv(layer(net, hidden), 2)], [expected, `${expected.slice(2)}>2`]);
  }
});

test("a channel shuffle becomes a choice of channels", async () => {
  const net = new Network(19);
  const hidden = net.relu(net.conv("x", 6));
  const split = net.op("Reshape", [hidden, net.b.axes([-1, 2, 3, 4, 4])]);
  const swapped = net.op("Transpose", [split], { perm: ints([0, 2, 1, 3, 4]) });
  const shuffled = net.op("Reshape", [swapped, net.b.axes([-1, 6, 4, 4])]);
  // In the order 0 3 1 4 2 5: what is left are channels 0, 4 and 5.
  const small = await assertShrinksTo(
    net,
    [net.conv(shuffled, 2, { deadInputs: [1, 2, 4] })],
    ["3>3", "3>2"],
  );
  assert.deepEqual(
    small.nodes.map((node) => node.op),
    ["Conv", "Relu", "Gather", "Conv"],
  );
});

test("one lane per value may meet all lanes of another: gates of one channel, scalars", async () => {
  const net = new Network(20);
  const hidden = net.conv("x", 5);
  const gate = net.op("Sigmoid", [net.conv("x", 1)]);
  const scaled = net.op("Mul", [net.op("Mul", [hidden, gate]), net.b.scalar(0.5)]);
  const shifted = net.op("Sub", [scaled, net.parameter("offset", [5, 1, 1])]);
  await assertShrinksTo(net, [net.conv(shifted, 2, { deadInputs: [0, 2] })], ["3>3", "3>1", "3>2"]);
});

test("opset 11 forms: Pad, Split and Clip with attributes", async () => {
  const net = new Network(17, [3, 6, 6], 10);
  const hidden = net.op("Clip", [net.conv("x", 6)], {
    min: { kind: "float", value: 0 },
    max: { kind: "float", value: 6 },
  });
  net.b.emit("Split", [hidden], { outputs: ["a", "b"], attributes: { axis: int(1), split: ints([2, 4]) } });
  const padded = net.op("Pad", ["a"], { pads: ints([0, 1, 0, 0, 0, 1, 0, 0]) });
  const sum = net.op("Add", [padded, "b"]);
  // Sum lane 1 is Split lane 0 and 3; lane 3 is padding and Split lane 5.
  await assertShrinksTo(net, [net.conv(sum, 2, { deadInputs: [1, 3] })], ["3>3", "2>2"]);
});

test("ResNet-20 with option-A shortcuts", { skip: withoutShared("models/resnet20.onnx") }, async () => {
  const next = randomSource(5);
  const graph = simplify(await readModel(sharedPath("models/resnet20.onnx")));
  const initializers = new Map(graph.initializers);
  for (const node of graph.nodes) {
    const name = node.inputs[1] ?? "";
    const weight = initializers.get(name);
    if (node.op !== "Conv" || weight === undefined) continue;
    const [k = 1, c = 1] = weight.dims;
    const dead = Array.from({ length: c }, () => next() < 0.3);
    const taps = weight.dims.slice(2).reduce((a, b) => a * b, 1);
    const data = float32Data(weight).map((value, at) =>
      dead[Math.floor(at / taps) % c] === true ? 0 : value,
    );
    initializers.set(name, float32Tensor([k, c, ...weight.dims.slice(2)], data));
  }
  const pruned: Graph = { ...graph, initializers };
  const small = shrink(pruned);
  const total = (of: Graph): number =>
    layerChannels(of).reduce((sum, layer) => sum + layer.inputs * layer.outputs, 0);
  assert.ok(total(small) < 0.8 * total(pruned), `${total(small)} of ${total(pruned)} kernels are left`);
  assert.deepEqual(planShrink(pruned).walls, []);
  const image = Float32Array.from({ length: 2 * 3 * 32 * 32 }, () => 4 * next() - 2);
  await assertSameOutputs(pruned, small, new Map([["input", float32Tensor([2, 3, 32, 32], image)]]));
});
