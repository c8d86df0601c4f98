import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { runView } from "../../src/cli/run_view.js";
import { Output } from "../../src/cli/terminal.js";

function output(isTTY: boolean): { readonly stream: Output; readonly text: () => string } {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 120 });
  const parts: string[] = [];
  stream.on("data", (part: Buffer) => parts.push(part.toString()));
  return { stream: new Output(stream, "a stream"), text: () => parts.join("") };
}

test("a log says which layer comes next, and how much is done and how long it will take once that is known", () => {
  const { stream, text } = output(false);
  const view = runView(stream);
  view.layers?.("analysing", 2, 53, "stage1.conv", { share: 0.1, secondsLeft: 125 });
  // The next line is due in half a minute.
  view.layers?.("analysing", 3, 53, "stage1.next", { share: 0.2, secondsLeft: 100 });
  view.stop();
  assert.equal(text(), "  10 % | about 2 min 05 s left | analysing layer 3 of 53: stage1.conv\n");
  const first = output(false);
  runView(first.stream).layers?.("fitting", 0, 53, "stem", { share: 0, secondsLeft: undefined });
  assert.equal(first.text(), "  fitting layer 1 of 53: stem\n");
});

test("a terminal shows a bar of the work that is done, with the time left", () => {
  const { stream, text } = output(true);
  const view = runView(stream);
  view.layers?.("fitting", 7, 20, "stage2.conv", { share: 0.375, secondsLeft: 61 });
  view.stop();
  assert.match(text(), /37%|38%/);
  assert.match(text(), /about 1 min 01 s left \| fitting layer 8 of 20: stage2\.conv/);
});

test("what is timed is said, which takes a minute of a large network", () => {
  const log = output(false);
  runView(log.stream).times?.("compiled", 1, 3);
  assert.equal(log.text(), "  times compiled (2 of 3)\n");
  const terminal = output(true);
  const view = runView(terminal.stream);
  view.times?.("of layers", 2, 3);
  view.stop();
  assert.match(terminal.text(), /times of layers \(3 of 3\)/);
});

test("zeros are told where there are some", () => {
  const epoch = { stage: "train", phase: "all", epoch: 1, step: 9, learningRate: 0.1, loss: 2, macs: 1 };
  const log = output(false);
  const view = runView(log.stream);
  view.epoch?.({ ...epoch, sparsity: 0 });
  view.epoch?.({ ...epoch, sparsity: 0.25 });
  assert.equal(log.text(), "  epoch 1 (all): loss 2.0000\n  epoch 1 (all): loss 2.0000, zeros 25.0 %\n");
});
