import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readModel, writeModel } from "../../src/files/model_files.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { decompose } from "../../src/method/decompose.js";
import type { Goal } from "../../src/method/goal/rules.js";
import { importForCompression } from "../../src/method/import_for_compression.js";
import { channelTraining, presets, type Settings } from "../../src/run/config.js";
import { dividedBySearch } from "../../src/run/goal_search.js";
import { compress } from "../../src/run/pipeline.js";
import { prepareRun } from "../../src/run/prepare.js";
import { stages } from "../../src/run/stages/list.js";
import { type Choices, checkOrder, defineStage, type Stage } from "../../src/run/stages/stage.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-stages-"));
after(() => rm(folder, { recursive: true, force: true }));

const model = path.join(folder, "tiny.onnx");
await writeModel(model, tinyCnn());

/** By these names the directories of older versions are resumed: this list is not to be changed. */
const everKept = [
  "simplify",
  "normalize",
  "channels",
  "recover",
  "decompose",
  "retrain",
  "prune",
  "fine-tune",
  "shrink",
  "export",
];

const channels = (teaches: boolean): Settings["channels"] => ({
  fraction: 0.5,
  training: channelTraining,
  teaches,
});

const rules: readonly Settings["prune"][] = [
  { rule: "macs", fraction: 0.5 },
  { rule: "deviation", factor: 1 },
  { rule: "pattern", keep: 2, of: 4 },
  { rule: "filters", share: 0.5, by: "norm" },
  { rule: "size", bytes: 1000, file: "onnx" },
  { rule: "loss", measure: "top1", most: 1 },
];

/** All configurations that differ in which stages there are and what they give. */
const configurations: readonly Choices[] = rules.flatMap((prune) =>
  [undefined, channels(false), channels(true)].flatMap((given) =>
    [{}, { teacher: "other.onnx" }].map((other) => ({
      ...other,
      settings: { prune, ...(given === undefined ? {} : { channels: given }) },
    })),
  ),
);

test("every stage takes only what there is before it, in every configuration", () => {
  for (const choices of configurations) checkOrder(stages, choices);
});

const refusal = (order: readonly Stage[]): Error | undefined => {
  for (const choices of configurations) {
    try {
      checkOrder(order, choices);
    } catch (error) {
      assert.ok(error instanceof Error);
      return error;
    }
  }
  return undefined;
};

test("a stage in any other place is refused", () => {
  for (const [from, stage] of stages.entries()) {
    const others = stages.toSpliced(from, 1);
    for (let to = 0; to < stages.length; to++) {
      if (to === from) continue;
      const problem = refusal(others.toSpliced(to, 0, stage));
      assert.match(
        `${problem?.message}`,
        /stage ".*" takes what no stage before it gives/,
        `${stage.name} to ${to}`,
      );
    }
  }
});

test("a list without a stage that others build on is refused, and the message says what is missing", () => {
  const without = (name: string): string =>
    `${refusal(stages.filter((stage) => stage.name !== name))?.message}`;
  assert.match(without("decompose"), /"retrain".*expected "decomposed", found .*"normalized"/);
  assert.match(without("prune"), /"fine-tune".*expected "pruned"/);
  assert.match(without("recover"), /"decompose".*expected "whole"/);
  assert.match(without("simplify"), /"normalize".*expected "imported", found nothing/);
});

test("a stage cannot even be written that asks for what it does not take", () => {
  defineStage({
    takes: ["pruned"],
    gives: () => [],
    // @ts-expect-error "teacher" is not taken
    apply: (_, { networks }) => networks.read("teacher"),
  });
});

test("what a goal's tries go through follows from what the stages say", () => {
  const names = (goal: Goal, start: Settings["start"]): readonly string[] => {
    const settings = { ...presets.fast, threads: 1, start, prune: goal };
    const { before, searched, after } = dividedBySearch(stages, goal, { settings });
    assert.deepEqual([...before, ...searched, ...after], stages);
    return searched.map(({ name }) => name);
  };
  const size: Goal = { rule: "size", bytes: 1000, file: "onnx" };
  const loss: Goal = { rule: "loss", measure: "top1", most: 1 };
  assert.deepEqual(names(size, "svd"), ["prune"]);
  assert.deepEqual(names(size, "calibrate"), ["decompose"]);
  assert.deepEqual(names(loss, "svd"), ["prune", "fine-tune"]);
  assert.deepEqual(names(loss, "calibrate"), ["decompose", "retrain", "prune", "fine-tune"]);
});

const untrained: Settings = {
  ...presets.fast,
  retrain: { ...presets.fast.retrain, epochs: 0 },
  fineTune: { ...presets.fast.fineTune, epochs: 0 },
  basis: 3,
  prune: { rule: "deviation", factor: 0.5 },
  batch: 16,
  threads: 1,
};

test("a run keeps its stages under the names of ever", async () => {
  assert.deepEqual(
    stages.map(({ name }) => name),
    everKept,
  );
  const out = path.join(folder, "names");
  const run = await prepareRun({
    model,
    data: "synthetic:80",
    out,
    preset: "fast",
    seed: 1,
    settings: untrained,
  });
  await compress(run);
  const kept = (await readdir(path.join(out, "stages"))).filter((name) => name.endsWith(".onnx"));
  const narrowing = ["channels", "recover"];
  const names = ["original", ...everKept.filter((name) => !narrowing.includes(name))];
  assert.deepEqual(kept.sort(), names.map((name) => `${name}.onnx`).sort());
});

test("a directory of an older version is gone on with where it was", async () => {
  const out = path.join(folder, "old");
  const run = await prepareRun({
    model,
    data: "synthetic:80",
    out,
    preset: "fast",
    seed: 1,
    settings: untrained,
  });
  // What this version would make differently tells whether it was made again.
  const graph = importForCompression(await readModel(model));
  const own = decompose(graph, { basis: 2 });
  for (const [name, network] of Object.entries({ simplify: graph, normalize: graph, decompose: own }))
    await writeModel(path.join(out, "stages", `${name}.onnx`), network);
  const begun: string[] = [];
  await compress(run, { stage: (name) => void begun.push(name) });
  for (const name of ["retrain", "prune", "fine-tune"]) {
    const layers = findDecompositions(await readModel(path.join(out, "stages", `${name}.onnx`)));
    assert.ok(layers.length > 0 && layers.every(({ d }) => d === 2), name);
  }
  assert.deepEqual(begun, [
    ...everKept.filter((name) => name !== "channels" && name !== "recover"),
    "measure",
  ]);
});
