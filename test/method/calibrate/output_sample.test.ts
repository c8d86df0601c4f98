import assert from "node:assert/strict";
import { test } from "node:test";
import type { LayerMoments } from "../../../src/measure/moments.js";
import { presentSupports } from "../../../src/method/calibrate/candidates.js";
import type { CalibrationLayer } from "../../../src/method/calibrate/layers.js";
import {
  sampleOutputs,
  standingForAll,
  withSampledKernels,
} from "../../../src/method/calibrate/output_sample.js";
import { type PresentForm, presentForm } from "../../../src/method/calibrate/ways.js";
import { uniform } from "./support.js";

const COLUMNS = 4;

function layerOf(
  K: number,
  groups: number,
): { layer: CalibrationLayer; moments: readonly LayerMoments[]; present: PresentForm } {
  const perGroup = K / groups;
  const moments = Array.from({ length: groups }, (_, group) => ({
    rows: 10,
    n: COLUMNS,
    outputs: perGroup,
    gram: uniform(COLUMNS * COLUMNS, group),
    cross: Float64Array.from({ length: perGroup * COLUMNS }, (_, at) => 1000 * group + at),
    variance: uniform(perGroup, group + 1).map((value) => value + 1),
    inputMean: new Float64Array(COLUMNS),
    targetMean: Float64Array.from({ length: perGroup }, (_, k) => 1000 * group + k),
  }));
  const layer: CalibrationLayer = {
    ...{ K, C: 1, R: 2, S: 2, groups, weight: "w", convs: [], sparsity: "basis" },
    importance: Float64Array.from({ length: K }, (_, k) => 1 + (k % 3)),
    original: Float32Array.from({ length: K * COLUMNS }, (_, at) => at),
  };
  const coefs = Float32Array.from({ length: K * 2 }, (_, at) => (at % 5 === 0 ? 0 : at));
  const basis = Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0);
  return { layer, moments, present: presentForm(layer, 9 * layer.original.length, { coefs, basis }) };
}

test("a layer of few outputs is looked at whole", () => {
  const { layer, moments, present } = layerOf(128, 2);
  const sample = sampleOutputs(layer, moments, present);
  assert.equal(sample.layer, layer);
  assert.equal(sample.moments, moments);
  assert.equal(sample.present, present);
  assert.equal(sample.each, 1);
});

for (const [K, groups] of [
  [200, 1],
  [300, 3],
  [65, 1],
] as const) {
  test(`64 of ${K} outputs in ${groups} groups stand for all, each with what is its own`, () => {
    const { layer, moments, present } = layerOf(K, groups);
    const sample = sampleOutputs(layer, moments, present);
    const { outputs } = sample;
    assert.equal(outputs.length, 64 * groups);
    assert.equal(new Set(outputs).size, outputs.length);
    assert.equal(sample.each * outputs.length, K);
    outputs.forEach((k, row) => {
      const group = Math.floor(row / 64);
      const within = k - (group * K) / groups;
      assert.equal(Math.floor((k * groups) / K), group);
      assert.equal(sample.layer.importance[row], layer.importance[k]);
      assert.equal(sample.layer.original[row * COLUMNS + 1], k * COLUMNS + 1);
      assert.deepEqual(
        sample.present.values.slice(2 * row, 2 * row + 2),
        present.values.slice(2 * k, 2 * k + 2),
      );
      const own = sample.moments[group];
      const at = row % 64;
      assert.equal(own?.outputs, 64);
      assert.equal(own?.targetMean[at], 1000 * group + within);
      assert.equal(own?.variance[at], moments[group]?.variance[within]);
      assert.equal(own?.cross[at * COLUMNS + 3], 1000 * group + within * COLUMNS + 3);
    });
    assert.deepEqual([sample.present.positions, sample.present.basis], [9, present.basis]);
    const supports = presentSupports(layer, present);
    assert.deepEqual(
      presentSupports(sample.layer, sample.present),
      outputs.map((k) => supports[k]),
    );
    // What the outputs matter, all together, is what they stand for.
    const matters = (of: CalibrationLayer, own: readonly LayerMoments[]): number =>
      own
        .flatMap(({ variance }) => [...variance])
        .reduce((sum, value, k) => sum + value * (of.importance[k] ?? 0), 0);
    const [whole, part] = [matters(layer, moments), matters(sample.layer, sample.moments)];
    assert.ok(Math.abs((part * sample.each) / whole - 1) < 0.02, `${part * sample.each} of ${whole}`);
    const kernels = Float32Array.from({ length: outputs.length * COLUMNS }, (_, at) => -at - 1);
    const weight = withSampledKernels(layer, outputs, kernels);
    for (let k = 0; k < K; k++) {
      const row = outputs.indexOf(k);
      assert.equal(weight[k * COLUMNS + 2], row < 0 ? k * COLUMNS + 2 : -(row * COLUMNS + 2) - 1);
    }
  });
}

test("an option for some outputs costs and errs for all of them", () => {
  const { layer, moments, present } = layerOf(160, 1);
  const sample = sampleOutputs(layer, moments, present);
  const rows = [{ base: 1, added: Float64Array.of(2, 3) }];
  const option = standingForAll(
    { form: "new basis", d: 2, fixedMacs: 7, macsPerCoefficient: 4, most: 50, rows },
    sample,
  );
  // Those are the layer's already.
  assert.deepEqual([option.fixedMacs, option.most], [7, 50]);
  assert.equal(option.macsPerCoefficient, 10);
  assert.deepEqual(option.rows, [{ base: 2.5, added: Float64Array.of(5, 7.5) }]);
});
