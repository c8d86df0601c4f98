import assert from "node:assert/strict";
import { test } from "node:test";
import { cTarget } from "../../src/compile/c/target.js";
import { compileProgram } from "../../src/compile/compile.js";
import { constant } from "../../src/compile/kernel_builder.js";
import { stridedKernel } from "../../src/compile/kernels/strided.js";
import { planMemory } from "../../src/compile/memory_plan.js";
import type { Buffer, Location, Program, Step } from "../../src/compile/program.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { runGraph } from "../../src/execute/node.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../src/graph/types.js";
import { load } from "../../src/runtime/index.js";
import { assertNearOutputs, Network } from "../../support/network.js";
import { mobilenetV3, shufflenet } from "../../support/zoo/mobile.js";
import { densenet } from "../../support/zoo/plain.js";
import { resnet } from "../../support/zoo/residual.js";
import "./self_checked.js";

/** Steps between which a buffer holds something that is still read: from the first that names it to the last. */
function lifetimes(steps: readonly Step[]): ReadonlyMap<Buffer, readonly [first: number, last: number]> {
  const found = new Map<Buffer, readonly [number, number]>();
  steps.forEach((step, index) => {
    for (const { buffer } of step.arguments) found.set(buffer, [found.get(buffer)?.[0] ?? index, index]);
  });
  return found;
}

/**
 * The same program in one buffer laid out as planned, which fills everything with NaN before each step that is not
 * between a buffer's first and last step: also the room between buffers, and what the step is going to write.
 */
function poisoned(program: Program): Program {
  const plan = planMemory(program);
  const arena: Buffer = { kind: "value", id: -1, size: plan.size };
  const moved = (location: Location): Location => {
    const place = plan.offsets.get(location.buffer.id);
    return place === undefined ? location : { buffer: arena, offset: place + location.offset };
  };
  const alive = [...lifetimes(program.steps)].flatMap(([buffer, [first, last]]) => {
    const from = plan.offsets.get(buffer.id);
    return from === undefined ? [] : [{ first, last, from, to: from + buffer.size }];
  });
  const steps = program.steps.flatMap((step, index) => {
    const kept = alive
      .filter(({ first, last }) => first < index && index <= last)
      .sort((a, b) => a.from - b.from);
    const gaps = [...kept, { from: plan.size, to: plan.size }].map(({ from }, place) => {
      return [kept[place - 1]?.to ?? 0, from] as const;
    });
    return [
      ...gaps
        .filter(([from, to]) => to > from)
        .map(([from, to]) => fillStep({ buffer: arena, offset: from }, to - from)),
      { ...step, arguments: step.arguments.map(moved) },
    ];
  });
  return { ...program, steps };
}

function fillStep(location: Location, count: number): Step {
  const kernel = stridedKernel(
    {
      name: "poison",
      comment: "Fills with NaN.",
      dims: [count],
      inputs: [],
      output: { strides: [1] },
      compute: () => constant(Number.NaN),
    },
    4,
  );
  return { kernel, arguments: [location], node: "poison", op: "Test", multiplyAccumulates: 0 };
}

/** Branches that live long, a residual over a wide layer, and a concatenation. */
function branches(): { readonly graph: Graph; readonly net: Network } {
  const net = new Network(3, [4, 9, 9]);
  const first = net.relu(net.conv("x", 6, { pad: 1, bias: true }));
  const second = net.relu(net.conv(first, 6, { pad: 1, basis: 3, deadInputs: [1, 2, 3, 4] }));
  const wide = net.conv(net.relu(net.conv(second, 24, { kernel: 1 })), 6, { kernel: 1 });
  const sum = net.relu(net.op("Add", [wide, first]));
  const down = net.conv(sum, 5, { pad: 1, stride: 2, bias: true });
  return { net, graph: net.graph([down, net.op("Add", [sum, second])]) };
}

const networks: Readonly<Record<string, () => { readonly graph: Graph; readonly net: Network }>> = {
  branches,
  ResNet: resnet,
  DenseNet: densenet,
  ShuffleNet: shufflenet,
  "MobileNet v3": mobilenetV3,
};

for (const [name, build] of Object.entries(networks)) {
  test(`${name} computes the same when memory that nobody needs is full of NaN`, async () => {
    const { graph, net } = build();
    const feeds = net.feeds(1);
    const program = compileProgram(graph, wasmTarget);
    const want = await runGraph(graph, feeds);
    assertNearOutputs(want, await runModule(wasmModule(poisoned(program)), feeds, want));
  });

  test(`${name}: buffers in use at the same time lie apart, with room for a vector behind each`, () => {
    const { steps } = compileProgram(build().graph, cTarget);
    const { offsets, size } = planMemory({ steps });
    const placed = [...lifetimes(steps)].flatMap(([buffer, [first, last]]) => {
      const from = offsets.get(buffer.id);
      return from === undefined ? [] : [{ first, last, from, to: from + buffer.size + 15 }];
    });
    for (const a of placed) {
      assert.ok(a.to <= size, "inside the arena");
      for (const b of placed) {
        const together = a !== b && a.first <= b.last && b.first <= a.last;
        assert.ok(
          !together || a.to <= b.from || b.to <= a.from,
          `${JSON.stringify(a)} and ${JSON.stringify(b)}`,
        );
      }
    }
    const largest = steps.map((_, index) =>
      placed.reduce(
        (sum, { first, last, from, to }) => sum + (first <= index && index <= last ? to - from : 0),
        0,
      ),
    );
    assert.ok(size <= 1.5 * Math.max(...largest), `${size} for at most ${Math.max(...largest)} at once`);
  });
}

/** The outputs of a compiled module, as tensors like those of ONNX Runtime. */
async function runModule(
  bytes: Uint8Array,
  feeds: ReadonlyMap<string, Tensor>,
  like: ReadonlyMap<string, Tensor>,
): Promise<Map<string, Tensor>> {
  const model = await load<Float32Array | Record<string, Float32Array>>(bytes);
  const inputs = Object.fromEntries([...feeds].map(([name, tensor]) => [name, float32Data(tensor)]));
  const found = model.run(inputs);
  return new Map(
    [...like].map(([name, { dims }]) => {
      const data = found instanceof Float32Array ? found : found[name];
      assert.ok(data, `output ${name}`);
      return [name, float32Tensor(dims, data)];
    }),
  );
}
