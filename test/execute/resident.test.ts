import assert from "node:assert/strict";
import { test } from "node:test";
import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Engine } from "../../src/execute/engine.js";
import { nodeEngine } from "../../src/execute/node.js";
import { DeviceValues, HostValues, type ResidentValues } from "../../src/execute/resident.js";
import { PenniError } from "../../src/graph/errors.js";
import { smallTrainingCase } from "../../support/device_case.js";
import { trainCase } from "../../support/device_training.js";

/** Computes on the CPU whatever the provider, so that what is done with device tensors can be seen anywhere. */
const pretender: Engine = {
  openSession: (graph, options) => nodeEngine.openSession(graph, { ...options, provider: "cpu" }),
};

const kinds: Readonly<Record<string, () => ResidentValues>> = {
  "on the host": () => new HostValues(),
  "on a device": () => new DeviceValues(pretender, "webgpu"),
};

const slots = [{ input: "a", output: "a'" }];

/** What a run that gives `values` for a' does to the values. */
function runGives(state: ResidentValues, values: readonly number[]): OrtTensor {
  const result =
    state.fetches(slots)["a'"] ?? new OrtTensor("float32", new Float32Array(values.length), [values.length]);
  (result.data as Float32Array).set(values);
  state.receive(slots, { "a'": result });
  return result;
}

async function fed(state: ResidentValues, name: string): Promise<number[]> {
  const tensor = (await state.feeds([name]))[name];
  assert.ok(tensor);
  return [...(tensor.data as Float32Array)];
}

for (const [where, create] of Object.entries(kinds)) {
  test(`values ${where} become what a run computed, once they advance`, async () => {
    const state = create();
    state.declare("a", [2], Float32Array.of(1, 2));
    state.declare("b", [1], Float32Array.of(9));
    assert.deepEqual(await fed(state, "a"), [1, 2]);
    runGives(state, [3, 4]);
    runGives(state, [5, 6]);
    assert.deepEqual(await fed(state, "a"), [1, 2]);
    state.advance(slots);
    assert.deepEqual(await fed(state, "a"), [5, 6]);
    await state.read();
    assert.deepEqual([[...state.data("a")], [...state.data("b")]], [[5, 6], [9]]);
    state.write("a", Float32Array.of(7, 8));
    assert.deepEqual([await fed(state, "a"), [...state.data("a")], state.dims("a")], [[7, 8], [7, 8], [2]]);
    await state.release();
  });

  test(`an unknown value ${where} is an error of Penni's own`, async () => {
    await assert.rejects(create().feeds(["a"]), PenniError);
    assert.throws(() => create().data("a"), PenniError);
  });
}

test("a device's tensors are freed when they are replaced, dropped or released", async () => {
  const state = new DeviceValues(pretender, "webgpu");
  state.declare("a", [1], Float32Array.of(1));
  const first = (await state.feeds(["a"])).a;
  const dropped = runGives(state, [2]);
  const second = runGives(state, [3]);
  assert.deepEqual([first?.location, dropped.location, second.location], ["cpu", "none", "cpu"]);
  state.advance(slots);
  assert.deepEqual([first?.location, second.location], ["none", "cpu"]);
  const pending = runGives(state, [4]);
  await state.release();
  assert.deepEqual([second.location, pending.location], ["none", "none"]);
});

test("training with the state on a device gives what it gives on the host", async () => {
  const trainingCase = smallTrainingCase();
  assert.deepEqual(
    await trainCase(pretender, "webgpu", trainingCase),
    await trainCase(nodeEngine, "cpu", trainingCase),
  );
});

test("on the host, values in place are written over where they are", async () => {
  const state = new HostValues();
  const inPlace = [{ input: "a", output: "a'", inPlace: true }];
  state.declare("a", [1], Float32Array.of(1));
  const a = (await state.feeds(["a"])).a;
  for (let run = 0; run < 2; run++) {
    assert.equal(state.fetches(inPlace)["a'"], a);
    state.advance(inPlace);
    assert.equal((await state.feeds(["a"])).a, a);
  }
});
