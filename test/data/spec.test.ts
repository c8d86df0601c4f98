import assert from "node:assert/strict";
import { test } from "node:test";
import { openDataset } from "../../src/data/open.js";
import { everyForm, placedSpec, sources, sourcesText } from "../../src/data/spec.js";
import { PenniError } from "../../src/graph/errors.js";
import { naming } from "../../src/graph/naming.js";

test("a specification is a kind and a place, which may have colons of its own", () => {
  assert.deepEqual(placedSpec("folder:/pictures"), { kind: "folder:", place: "/pictures" });
  assert.deepEqual(placedSpec("cifar10:D:\\cifar"), { kind: "cifar10:", place: "D:\\cifar" });
  assert.deepEqual(placedSpec("images:line\nbreak"), { kind: "images:", place: "line\nbreak" });
  for (const folder of ["pictures", "./pictures:2", "D:\\pictures", "images:", ""])
    assert.deepEqual(placedSpec(folder), { kind: "", place: folder });
  for (const computed of ["synthetic", "synthetic:40", "synthetic:"])
    assert.equal(placedSpec(computed), undefined);
});

test("help texts and errors name every kind once", async () => {
  const counted = (text: string, name: string): number =>
    text.split(/, | or | \(/).filter((form) => form.split(":")[0] === name).length;
  for (const [name, { hasLabels, forms }] of Object.entries(sources)) {
    assert.equal(counted(sourcesText(), name), 1, name);
    assert.equal(counted(sourcesText({ needsLabels: true }), name), hasLabels ? 1 : 0, name);
    assert.equal(counted(everyForm, name), forms.length, name);
  }
  await assert.rejects(openDataset("nonsense:DIR"), (error) => {
    return error instanceof PenniError && error.message.includes(everyForm);
  });
});

test("what is wrong with a specification is said of it, whatever the model is called", async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["nowhere/at/all", /^nowhere\/at\/all: not a dataset: .*, which is no folder either$/],
    ["folder:", /^folder:: not a dataset: .*, found "folder:"$/],
    ["synthetic:-5", /^synthetic:-5: not a number of synthetic images/],
  ];
  for (const [spec, message] of cases)
    await assert.rejects(
      naming("net.onnx", () => openDataset(spec)),
      { code: "bad-option", message },
    );
});

test("every kind can be opened", async () => {
  const imageSize = { width: 8, height: 8 };
  for (const { forms } of Object.values(sources)) {
    const spec = forms[0].replace("DIR", "/nowhere/at/all");
    const problem = await openDataset(spec, { imageSize }).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (problem === undefined) continue;
    assert.ok(problem instanceof PenniError && problem.code !== "bad-option", `${spec}: ${problem}`);
  }
});
