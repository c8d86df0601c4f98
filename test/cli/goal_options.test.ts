import assert from "node:assert/strict";
import { test } from "node:test";
import { maxLoss, targetLatency, targetSize } from "../../src/cli/goal_options.js";
import { describeGoal } from "../../src/method/goal/describe.js";

const sizes: Readonly<Record<string, readonly [bytes: number, file: "onnx" | "wasm"]>> = {
  "200kB": [200_000, "onnx"],
  "200 KB": [200_000, "onnx"],
  "1.5MB": [1_500_000, "onnx"],
  "300KiB": [307_200, "onnx"],
  "2MiB": [2_097_152, "onnx"],
  "0.5mib": [524_288, "onnx"],
  "123456": [123_456, "onnx"],
  "123456 bytes": [123_456, "onnx"],
  "99B": [99, "onnx"],
  "wasm:150kB": [150_000, "wasm"],
  "onnx:1GB": [1e9, "onnx"],
};

for (const [text, [bytes, file]] of Object.entries(sizes)) {
  test(`--target-size ${text}`, () => {
    assert.deepEqual(targetSize(text), { rule: "size", bytes, file });
  });
}

for (const text of [
  "",
  "kB",
  "0",
  "0.2",
  "-5kB",
  "5 apples",
  "5kbit",
  "1e3",
  "tflite:5kB",
  "Infinity",
  "5,000",
  "9999999GB",
]) {
  test(`--target-size ${text || "''"} is refused`, () => {
    assert.throws(() => targetSize(text), /expected a size above 0 such as 200kB/);
  });
}

test("times have units", () => {
  assert.deepEqual(targetLatency("2ms"), { rule: "latency", milliseconds: 2 });
  assert.deepEqual(targetLatency("800 us"), { rule: "latency", milliseconds: 0.8 });
  assert.deepEqual(targetLatency("1.5µs"), { rule: "latency", milliseconds: 0.0015 });
  assert.deepEqual(targetLatency("0.1s"), { rule: "latency", milliseconds: 100 });
  for (const text of ["2", "", "0ms", "-1ms", "2 m", "2MS", "fast", "1e2ms", "NaNms"])
    assert.throws(() => targetLatency(text), /expected a time above 0 with its unit/, text);
});

test("a loss is in points, or an output error in percent", () => {
  assert.deepEqual(maxLoss("0.5"), { rule: "loss", measure: "top1", most: 0.5 });
  assert.deepEqual(maxLoss("0"), { rule: "loss", measure: "top1", most: 0 });
  assert.deepEqual(maxLoss("5%"), { rule: "loss", measure: "error", most: 0.05 });
  for (const text of ["", "-1", "101", "0%", "5%%", "half", "5 points", "1e1", "."])
    assert.throws(() => maxLoss(text), /expected points of top-1 from 0 to 100/, text);
});

test("goals read as sentences", () => {
  assert.equal(describeGoal(targetSize("200kB")), "a file of at most 200,000 bytes");
  assert.equal(describeGoal(targetSize("wasm:1MiB")), "a file of at most 1,048,576 bytes of WebAssembly");
  assert.match(describeGoal(targetLatency("800us")), /^at most 0\.8 ms for one image/);
  assert.match(describeGoal(maxLoss("0.5")), /^a loss of at most 0\.50? points of top-1/);
  assert.match(describeGoal(maxLoss("5%")), /^an output error of at most 5(\.00)? %/);
});
