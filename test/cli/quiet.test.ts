import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { PassThrough } from "node:stream";
import { after, before, test } from "node:test";
import { runView } from "../../src/cli/run_view.js";
import { Output } from "../../src/cli/terminal.js";
import { writeModel } from "../../src/files/model_files.js";
import { penni } from "../../support/command_line.js";
import { writeImages } from "../../support/label_free.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-quiet-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const place = (...parts: readonly string[]): string => path.join(folder, ...parts);

before(async () => {
  await writeModel(place("tiny.onnx"), tinyCnn());
  await writeImages(place("pictures"), 20);
});

const small = ["--calibration-images", "16", "--target-macs", "0.9", "--threads", "1"];

test("--quiet leaves results and errors", async () => {
  const data = ["--data", place("pictures")];
  const quiet: readonly (readonly string[])[] = [
    [
      "compress",
      place("tiny.onnx"),
      ...data,
      "--preset",
      "calibrate",
      ...small,
      "-o",
      place("run"),
      "--quiet",
    ],
    ["eval", place("tiny.onnx"), "--data", "synthetic:40", "-q"],
    ["sensitivity", place("tiny.onnx"), ...data, "--images", "8", "--ranks", "2", "--sparsity", "0.5", "-q"],
    ["compile", place("tiny.onnx"), "--target", "wasm", "-o", place("wasm"), "-q"],
  ];
  for (const args of quiet) {
    const { status, stdout, stderr } = await penni(args);
    assert.deepEqual([status, stderr], [0, ""], args[0]);
    assert.notEqual(stdout, "", args[0]);
  }
  const wrong = await penni(["eval", place("none.onnx"), "--data", "synthetic", "--quiet"]);
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /^penni: .*none\.onnx.*\n$/);
});

test("a quiet terminal gets no bar", () => {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  const output = new Output(stream, "standard error");
  output.beQuiet();
  const view = runView(output);
  view.images?.("measuring", 1, 2);
  view.stage("train");
  view.stop();
  assert.equal(stream.read(), null);
});

test("no colour is written, whatever FORCE_COLOR and NO_COLOR say", async () => {
  const known = { ...process.env };
  try {
    for (const [force, none] of [
      ["1", undefined],
      [undefined, "1"],
      ["3", ""],
    ]) {
      for (const [name, value] of [
        ["FORCE_COLOR", force],
        ["NO_COLOR", none],
      ] as const) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
      for (const args of [
        ["--help"],
        ["compress", "--help"],
        ["inspect", place("tiny.onnx")],
        ["inspct"],
        [],
      ]) {
        const { stdout, stderr } = await penni(args);
        // As it is, or as it is shown.
        const text = stdout + stderr;
        assert.ok(!text.includes("\x1b") && !text.includes("\\x1b"), args.join(" "));
      }
    }
  } finally {
    process.env = known;
  }
});

test("an epoch's validation says how sure it is", () => {
  const stream = new PassThrough();
  const view = runView(new Output(stream, "standard error"));
  const metrics = {
    stage: "train",
    phase: "all",
    epoch: 1,
    step: 5,
    learningRate: 0.1,
    loss: 1,
    sparsity: 0,
    macs: 1,
    validation: 0.9,
  };
  view.epoch?.({ ...metrics, validationImages: 100 });
  view.epoch?.(metrics);
  // Wilson 1927: 82.6 to 94.5 %.
  assert.match(String(stream.read()), /validation top-1 90\.0 % ±7\.4\n.*validation top-1 90\.0 %\n/);
});
