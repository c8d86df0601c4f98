import assert from "node:assert/strict";
import { test } from "node:test";
import { ints } from "../../src/graph/attributes.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../src/graph/types.js";
import { convolutions } from "../../src/layers/weights.js";
import { type ImageBatches, SettledValues } from "../../src/measure/settled_values.js";
import { type Cut, CutSequence, planCuts } from "../../src/method/calibrate/cuts.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { Network } from "../../support/network.js";

const SIZE = 12;
const BATCH = 3;
const BATCHES = 4;

function images(): ImageBatches & { asked: number } {
  const net = new Network(9, [3, SIZE, SIZE]);
  const all = Array.from({ length: BATCHES }, () => net.uniform(BATCH * 3 * SIZE * SIZE));
  return {
    asked: 0,
    count: BATCHES,
    size: BATCH,
    dims: [3, SIZE, SIZE],
    pixels() {
      this.asked += 1;
      return all;
    },
  };
}

/** Networks whose values are read far behind where they are made: a sum, a concatenation, the input itself. */
const networks: Readonly<Record<string, () => Graph>> = {
  chain: () => {
    const net = new Network(1, [3, SIZE, SIZE]);
    let x = "x";
    for (const outputs of [4, 8, 2, 6]) x = net.relu(net.norm(net.conv(x, outputs, { pad: 1 })));
    return net.graph([x]);
  },
  residual: () => {
    const net = new Network(2, [3, SIZE, SIZE]);
    let x = net.relu(net.conv("x", 4, { pad: 1 }));
    for (let block = 0; block < 3; block++) {
      const inner = net.relu(net.conv(x, 8, { pad: 1 }));
      x = net.op("Add", [net.conv(inner, 4, { pad: 1, bias: true }), x]);
    }
    return net.graph([x, net.op("GlobalAveragePool", [x])]);
  },
  "the image is read again at the end": () => {
    const net = new Network(3, [3, SIZE, SIZE]);
    const deep = net.relu(net.conv(net.conv("x", 5, { pad: 1 }), 3, { pad: 1 }));
    const joint = net.op("Mul", [deep, "x"]);
    return net.graph([
      net.conv(joint, 4, { kernel: 1 }),
      net.op("MaxPool", [deep], { kernel_shape: ints([2, 2]) }),
    ]);
  },
};

async function outputsOf(values: SettledValues, network: Graph): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  await values.run(network, [{}], (results, batch) => {
    for (const [name, { data }] of Object.entries(results)) {
      found.set(`${name} ${batch}`, Float32Array.from(data as Float32Array));
    }
  });
  return found;
}

for (const [name, build] of Object.entries(networks)) {
  test(`${name}: from any cut on a network computes what it computes from the images`, async () => {
    const graph = fixBatch(build(), BATCH);
    const { types } = inferGraph(graph);
    const wanted = await outputsOf(new SettledValues(images(), 1), graph);
    for (const room of [0, 200, 600, 1200, 1e9]) {
      const source = images();
      const values = new SettledValues(source, 1);
      const layers = convolutions(graph);
      const cuts = planCuts(build(), layers, room);
      for (const cut of new Set(cuts)) await values.settle(graph, types, cut);
      const found = await outputsOf(values, graph);
      assert.equal(found.size, wanted.size);
      for (const [key, expected] of wanted) {
        const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        expected.forEach((value, index) => {
          const difference = Math.abs(value - (found.get(key)?.[index] ?? Number.NaN));
          assert.ok(difference <= 1e-5 * largest, `room ${room}, ${key}[${index}]`);
        });
      }
    }
  });
}

test("what is settled is not computed again, not even the images are asked for", async () => {
  const graph = fixBatch((networks.chain ?? assert.fail)(), BATCH);
  const source = images();
  const values = new SettledValues(source, 1);
  const cut = planCuts(graph, convolutions(graph), 1e9).at(-1) ?? [];
  await values.settle(graph, inferGraph(graph).types, cut);
  assert.equal(source.asked, 1);
  await outputsOf(values, graph);
  assert.equal(source.asked, 1);
  await values.settle(graph, inferGraph(graph).types, []);
  await outputsOf(values, graph);
  assert.equal(source.asked, 2);
});

test("a cut is as late as its values fit, and never goes back", () => {
  const graph = (networks.chain ?? assert.fail)();
  const layers = convolutions(graph);
  const plane = SIZE * SIZE;
  const sizeOf = (cut: Cut): number =>
    cut.reduce((sum, name) => {
      const shape = inferGraph(fixBatch(graph, 1)).types.get(name)?.shape ?? [];
      return sum + shape.reduce<number>((product, dim) => product * Number(dim), 1);
    }, 0);
  // The layers read 3 (the image: free), 4, 8 and 2 channels.
  assert.deepEqual(planCuts(graph, layers, 1e9).map(sizeOf), [0, 4 * plane, 8 * plane, 2 * plane]);
  assert.deepEqual(planCuts(graph, layers, 4 * plane).map(sizeOf), [0, 4 * plane, 4 * plane, 2 * plane]);
  assert.deepEqual(planCuts(graph, layers, plane).map(sizeOf), [0, 0, 0, 0]);
});

test("values of unknown or other types are not cut through", () => {
  const net = new Network(4, [3, SIZE, SIZE]);
  const first = net.conv("x", 4, { pad: 1 });
  const shape = net.op("Shape", [first]);
  const second = net.conv(net.relu(first), 4, { pad: 1 });
  const graph = net.graph([net.op("Reshape", [second, shape])]);
  const [, before] = planCuts(graph, convolutions(graph), 1e9);
  // Later cuts would cross the shape.
  assert.deepEqual(before, [first]);
});

test("a sequence that is begun late settles the same cuts in the same order", async () => {
  const cuts: readonly Cut[] = [[], ["a"], ["a"], ["b", "c"], ["d"]];
  const shared = [cuts[0], cuts[1], cuts[1], cuts[3], cuts[4]].map((cut) => cut ?? []);
  const settled = async (indices: readonly number[]): Promise<string[]> => {
    const seen: string[] = [];
    const sequence = new CutSequence(shared, async (cut) => {
      seen.push(cut.join());
    });
    for (const index of indices) await sequence.reach(index);
    return seen;
  };
  assert.deepEqual(await settled([0, 1, 2, 3, 4]), ["a", "b,c", "d"]);
  assert.deepEqual(await settled([4]), ["a", "b,c", "d"]);
  assert.deepEqual(await settled([2]), ["a"]);
});
