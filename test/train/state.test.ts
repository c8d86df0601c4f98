import assert from "node:assert/strict";
import { test } from "node:test";
import { PenniError } from "../../src/graph/errors.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import { nonZeroMask, TrainingState } from "../../src/train/state.js";
import { smallNetwork } from "../../support/small_models.js";

function stateOf(values: Readonly<Record<string, readonly number[]>>): TrainingState {
  const state = new TrainingState();
  for (const [name, data] of Object.entries(values)) {
    state.declare(name, [data.length], Float32Array.from(data));
  }
  return state;
}

const slot = (name: string) => ({ input: name, output: `${name}'`, dims: [2] });

test("what a step writes becomes what the next step reads; others stay", async () => {
  const state = stateOf({ a: [1, 2], b: [3, 4] });
  const written = state.fetches([slot("a")])["a'"];
  assert.ok(written);
  (written.data as Float32Array).set([5, 6]);
  assert.deepEqual([...state.data("a")], [1, 2]);
  state.advance([slot("a")]);
  assert.deepEqual(
    [[...state.data("a")], [...state.data("b")]],
    [
      [5, 6],
      [3, 4],
    ],
  );
  const { a } = await state.feeds(["a"]);
  assert.equal(a, written);
  assert.notEqual(state.fetches([slot("a")])["a'"]?.data, a?.data);
});

test("a value is declared once, as a copy, from zeros where nothing is given", () => {
  const data = Float32Array.of(1, 2);
  const state = new TrainingState();
  state.declare("a", [2], data);
  data[0] = 9;
  state.declare("a", [2]);
  state.declare("velocity", [3]);
  assert.deepEqual(
    [[...state.data("a")], [...state.data("velocity")]],
    [
      [1, 2],
      [0, 0, 0],
    ],
  );
});

test("a snapshot restores the state", () => {
  const state = stateOf({ a: [1, 2], b: [3, 4] });
  state.advance([slot("b")]);
  const other = stateOf({ a: [0, 0], b: [0, 0] });
  other.restore(state.snapshot());
  assert.deepEqual(other.snapshot(), state.snapshot());
});

test("an exchange puts a value and other data in each other's place", () => {
  const length = 150_000;
  const state = stateOf({ a: Array.from({ length }, (_, index) => index) });
  const other = Float32Array.from({ length }, (_, index) => -index);
  state.exchange("a", other);
  assert.deepEqual(
    [state.data("a").at(-1), other.at(-1), state.data("a")[70_000]],
    [1 - length, length - 1, -70_000],
  );
  state.exchange("a", other);
  assert.ok(state.data("a").every((value, index) => value === index));
});

test("nonZeros counts what is not exactly zero in the named values; -0 is", () => {
  const state = stateOf({ a: [0, -0, 1e-30, 2], b: [0] });
  assert.deepEqual([state.nonZeros(["a"]), state.nonZeros(["a", "b"]), state.nonZeros([])], [2, 2, 0]);
});

test("applyTo replaces the initializers that it knows, by its own memory, and leaves the network as it was", () => {
  const network = smallNetwork();
  const state = stateOf({ gamma: [1, 2, 3, 4], "penni/velocity/gamma": [0, 0, 0, 0] });
  const before = network.initializers.get("gamma");
  const changed = state.applyTo(network);
  const gamma = changed.initializers.get("gamma");
  assert.deepEqual(gamma && [...float32Data(gamma)], [1, 2, 3, 4]);
  assert.equal(gamma?.bytes.buffer, state.data("gamma").buffer);
  assert.equal(network.initializers.get("gamma"), before);
  assert.equal(changed.initializers.get("w1"), network.initializers.get("w1"));
  assert.deepEqual([...changed.initializers.keys()], [...network.initializers.keys()]);
});

test("an unknown value is an error of Penni's own", async () => {
  await assert.rejects(stateOf({}).feeds(["a"]), PenniError);
  assert.throws(() => stateOf({}).data("a"), PenniError);
});

test("nonZeroMask is one where a value is not exactly zero", () => {
  const mask = nonZeroMask(float32Tensor([2, 2], [0, -0, 1e-30, -3]));
  assert.deepEqual(
    [[...(mask.data as Float32Array)], mask.dims],
    [
      [0, 0, 1, 1],
      [2, 2],
    ],
  );
});
