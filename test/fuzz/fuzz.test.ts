import assert from "node:assert/strict";
import { after, test } from "node:test";
import { CaseRunner } from "../../support/fuzz/case_runner.js";
import { cook, drawRecipe, mutationNames } from "../../support/fuzz/cases.js";
import { commandProblem, driveCommandLine } from "../../support/fuzz/command_line.js";
import { takeBytesThrough } from "../../support/fuzz/passage.js";
import { stocks } from "../../support/fuzz/seed_models.js";

// `npm run fuzz` takes 20,000 cases, and real models; these are a few hundred of it.
const SEED = 2024;
const CASES = 260;

const runner = new CaseRunner();
after(() => runner.stop());

test(`${CASES} broken models succeed or end in a typed error`, async () => {
  for (let index = 0; index < CASES; index += 1) {
    const report = await runner.run({ kind: "case", seed: SEED, index, models: "own" });
    const problem = report.kind === "failed" ? report.problem : "";
    assert.equal(report.kind, "passed", `npm run fuzz -- --own --seed ${SEED} --case ${index}: ${problem}`);
  }
});

test("a failure is reported, and the next case runs in another process", async () => {
  const file = "/nonexistent/model.onnx";
  const failed = await runner.run({ kind: "file", file });
  assert.equal(failed.kind, "failed");
  const next = await runner.run({ kind: "case", seed: SEED, index: 0, models: "own" });
  assert.equal(next.kind, "passed");
});

test("the models to be damaged are sound", () => {
  for (const model of stocks.own.own) {
    const refusals = takeBytesThrough(model.bytes());
    const early = refusals.filter((refusal) =>
      /^(decode|verify|metadata|upgrade|simplify|shrink)/.test(refusal),
    );
    assert.deepEqual(early, [], model.name);
  }
});

test("a case is the same every time, and cases use every mutation", () => {
  const used = new Set<string>();
  for (let index = 0; index < 5000; index += 1) {
    for (const { mutation } of drawRecipe(SEED, index, stocks.own).steps) used.add(mutation);
  }
  assert.deepEqual([...used].sort(), [...mutationNames].sort());
  for (let index = 0; index < 20; index += 1) {
    const [once, again] = [0, 1].map(() => cook(drawRecipe(SEED, index, stocks.own)));
    assert.deepEqual(once, again);
  }
});

test("what a case does to a node's attributes does not reach the next case", () => {
  const [model] = stocks.own.own;
  assert.ok(model !== undefined);
  const concats = { mutation: "node:concats", key: [1, 2] };
  const before = cook({ model, steps: [concats] });
  // Whichever node it changes, it is most likely one of the hundreds that were added.
  cook({ model, steps: [concats, ...[1, 2, 3].map((key) => ({ mutation: "changeInteger", key: [key] }))] });
  assert.equal(Buffer.compare(cook({ model, steps: [concats] }), before), 0);
});

test("the command line answers broken models with one line", () => {
  assert.deepEqual(driveCommandLine(SEED, 1, 1), []);
});

test("what the command line must not do is recognised", () => {
  const ended = (status: number | null, stderr: string) => commandProblem({ status, signal: null, stderr });
  assert.equal(ended(0, ""), undefined);
  assert.equal(ended(1, "penni: broken.onnx: it is broken\n"), undefined);
  assert.match(
    ended(1, "penni: unexpected error: x is undefined. Run the command again\n") ?? "",
    /unexpected/,
  );
  assert.match(ended(1, "TypeError: x\n    at f (file.js:1:1)\n") ?? "", /not one line/);
  assert.match(ended(134, "") ?? "", /134/);
  assert.match(ended(null, "") ?? "", /ended by/);
});
