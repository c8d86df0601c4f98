import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { compileToC } from "../../src/compile/c/compile_to_c.js";
import { compileToWasm } from "../../src/compile/index.js";
import { openDataset } from "../../src/data/index.js";
import { readModel, writeModel } from "../../src/files/model_files.js";
import type { Graph } from "../../src/graph/types.js";
import { pruneSchema, trySchema } from "../../src/method/goal/schema.js";
import { BITS, GAPS, NUMBERS } from "../../src/onnx/packed/format.js";
import { documentSchema } from "../../src/queue/document.js";
import { manifestSchema } from "../../src/queue/manifest.js";
import { payloadSchema } from "../../src/queue/payload.js";
import { recordSchemas } from "../../src/queue/records.js";
import { recordNames } from "../../src/queue/store.js";
import { recordChoices } from "../../src/run/answers.js";
import { configSchema } from "../../src/run/config.js";
import { recordLayerTimes } from "../../src/run/layer_times.js";
import { trainingConfigSchema } from "../../src/run/training_config.js";
import { frozenSchema } from "../../src/sweep/directory.js";
import { sweepEventSchema } from "../../src/sweep/journal.js";
import { resultsOf } from "../../src/sweep/results.js";
import { stateOf } from "../../src/sweep/state.js";
import { summarySchema } from "../../src/sweep/summary_file.js";
import { type Checkpoint, checkpointParts } from "../../src/train/checkpoint.js";
import { epochMetricsSchema } from "../../src/train/plan.js";
import { penni } from "../../support/command_line.js";
import { differences, FormatTables } from "../../support/format_tables.js";
import { tinyDetector, writeImages } from "../../support/label_free.js";
import { Network } from "../../support/network.js";
import { fieldsOf } from "../../support/schema_fields.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const tables = FormatTables.read();
const folder = mkdtempSync(path.join(tmpdir(), "penni-formats-"));
after(() => rm(folder, { recursive: true, force: true }));

describe("docs/formats.md says what the schemas say: fields, types and ranges", () => {
  const schemas: readonly (readonly [anchor: string, schema: z.ZodType])[] = [
    ["configjson-of-a-compression", configSchema],
    ["configjson-of-a-training", trainingConfigSchema],
    ["metricsjsonl", epochMetricsSchema],
    ["a-pruning-rule", pruneSchema],
    ["a-try", trySchema],
    ["sweepjson", frozenSchema],
    ["trialsjsonl", sweepEventSchema],
    ["a-job", payloadSchema],
    ["a-trials-document", documentSchema],
    ["a-list-of-a-runs-files", manifestSchema],
    ["a-trials-records", z.union([recordSchemas.result, recordSchemas.request, recordSchemas.starts])],
  ];
  for (const [anchor, schema] of schemas) {
    test(`#${anchor}`, () => {
      // The order of choices says nothing.
      const inOrder = (type: string): string => type.split(" or ").toSorted().join(" or ");
      const sorted = (fields: ReturnType<typeof fieldsOf>) =>
        [...fields]
          .map(([name, { isOptional, type }]) => `${name}${isOptional ? "?" : ""} | ${inOrder(type)}`)
          .toSorted();
      assert.deepEqual(sorted(tables.fields(anchor)), sorted(fieldsOf(schema)));
    });
  }

  test("every record that a trial has in a store is named", () => {
    for (const name of recordNames)
      assert.ok(readFileSync("docs/formats.md", "utf8").includes(`\`${name}\``), name);
  });

  test("a field that is missing, one that is too much and another range are found", () => {
    const text =
      "## X\n| `a` | integer, at least 1 | b |\n| `c[]?` | [t](#t) | d |\n### T\n| `e` | string | f |\n";
    const fields = FormatTables.parse(text).fields("x");
    assert.deepEqual(
      [...fields],
      [
        ["a", { isOptional: false, type: "integer, at least 1" }],
        ["c[].e", { isOptional: true, type: "string" }],
      ],
    );
    assert.deepEqual(differences(fields, [{ c: [{ e: 1, g: 2 }] }]), [
      "in a file, not in the document: c[].g",
      "in the document, in no file: a",
    ]);
  });
});

const place = (...parts: readonly string[]): string => path.join(folder, ...parts);
const json = (...parts: readonly string[]): unknown => JSON.parse(readFileSync(place(...parts), "utf8"));
const lines = (...parts: readonly string[]): readonly unknown[] =>
  readFileSync(place(...parts), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

async function succeeds(...args: readonly string[]): Promise<void> {
  const { status, stderr } = await penni(args);
  assert.equal(status, 0, stderr);
}

const check = (anchor: string, samples: readonly unknown[]): void =>
  assert.deepEqual(differences(tables.fields(anchor), samples), []);

describe("docs/formats.md says what small runs write", () => {
  before(async () => {
    await writeModel(place("tiny.onnx"), tinyCnn());
    await writeModel(place("detector.onnx"), tinyDetector());
    await writeImages(place("pictures"), 24);
    const sizes = ["--epochs", "2", "--resolution", "8:0.5"];
    const training = ["--data", "synthetic:100", "--threads", "1", "--batch", "16"];
    await succeeds("train", place("tiny.onnx"), ...training, ...sizes, "-o", place("trained"));
    const short = [...training, "--validation", "0.2", "--epochs", "0.5", "--fine-tune-epochs", "0.5"];
    const goal = ["--target-size", "9kB"];
    await succeeds("compress", place("tiny.onnx"), ...short, ...goal, "-o", place("goal"));
    const pictures = [
      "--data",
      `images:${place("pictures")}`,
      "--threads",
      "1",
      "--calibration-images",
      "16",
    ];
    const calibrated = ["--preset", "calibrate", "--target-macs", "0.9"];
    await succeeds("compress", place("detector.onnx"), ...pictures, ...calibrated, "-o", place("calibrated"));
  });

  test("configurations", () => {
    check("configjson-of-a-compression", [json("goal/config.json"), json("calibrated/config.json")]);
    check("configjson-of-a-training", [json("trained/config.json")]);
  });

  test("lines", async () => {
    check("metricsjsonl", [...lines("goal/metrics.jsonl"), ...lines("trained/metrics.jsonl")]);
    check("timingjsonl", lines("goal/timing.jsonl"));
    check("sessionsjsonl", [...lines("goal/sessions.jsonl"), ...lines("trained/sessions.jsonl")]);
    const unlabelled: unknown[] = [];
    const collector = { writeJson: async (_: string, value: unknown) => void unlabelled.push(value) };
    const split = await (await openDataset("synthetic:40")).test();
    const [before, after] = [0, 1].map((answer) => new Int32Array(split.count).fill(answer));
    assert(before !== undefined && after !== undefined);
    await recordChoices(collector, split, undefined, { before, after });
    check("answersjson", [json("goal/answers.json"), ...unlabelled]);
    const measured: unknown[] = [];
    const timed = { writeJson: async (_: string, value: unknown) => void measured.push(value) };
    await recordLayerTimes(timed, tinyCnn(), tinyCnn(), { executedMacs: 1e6, measuringMs: 10 });
    check("layer-timesjson", measured);
  });

  test("outcomes", () => {
    check("summaryjson-of-a-compression", [json("goal/summary.json"), json("calibrated/summary.json")]);
    check("summaryjson-of-a-training", [json("trained/summary.json")]);
    check("searchjson", [json("goal/search.json")]);
    check("calibrationjson", json("calibrated/calibration.json") as readonly unknown[]);
  });

  test("files of a run's directory", () => {
    const documented = tables.names("a-runs-directory");
    const patterns = documented.map(
      (name) => new RegExp(`^${name.replaceAll(".", "\\.").replaceAll(/NAME|KEY|N\b/g, "[\\w.-]+")}$`),
    );
    const files = ["goal", "calibrated", "trained"].flatMap((run) =>
      readdirSync(place(run), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => path.relative(place(run), path.join(parentPath, name))),
    );
    assert.ok(files.length > 20);
    assert.deepEqual(
      files.filter((file) => !patterns.some((pattern) => pattern.test(file))),
      [],
    );
    // The others are there only now and then.
    const always = [
      "config.json",
      "metrics.jsonl",
      "timing.jsonl",
      "model.onnx",
      "summary.json",
      "search.json",
    ];
    for (const file of [...always, "stages/SHA256SUMS"])
      assert.ok(documented.includes(file) && files.includes(file), file);
  });

  test("metadata of a result", async () => {
    const { metadata } = await readModel(place("goal/model.onnx"));
    const documented = tables.names("metadata-of-a-model");
    const own = [...metadata.keys()].filter((key) => key.startsWith("penni."));
    assert.deepEqual(own.toSorted(), documented.toSorted());
    const entry = (key: string): unknown => JSON.parse(metadata.get(key) ?? "null");
    check("a-preprocessing", [entry("penni.preprocessing")]);
    check("a-compressions-record", [entry("penni.compression")]);
  });
});

test("docs/formats.md says what results.json holds", () => {
  const versions = { penni: "0", node: "0", onnxruntime: "0" };
  const provenance = { ...{ penni: "0", onnxruntime: "0", worker: "embedded" }, attempts: 1 };
  const figures = { parameters: 1, paperMacs: 1, executedMacs: 1, bytes: 1, latencyMs: 1 };
  const summary = summarySchema.parse({
    original: figures,
    compressed: { ...figures, compiledMs: 1, test: { correct: 1, total: 2 } },
    model: "model.onnx",
  });
  const search = { kind: "grid" as const };
  const frozen = {
    format: 1 as const,
    spec: { base: {}, axes: { basis: [4, 5] }, search },
    files: {},
    images: {},
    versions,
  };
  const asked = (number: number) =>
    ({ event: "asked", number, values: { basis: 4 + number }, id: "0", settings: {} }) as const;
  const state = stateOf([
    ...[0, 1, 2].map(asked),
    ...([0, 2] as const).map((number) => ({ event: "started", number }) as const),
    { event: "done", number: 0, summary, provenance },
    { event: "done", number: 1, summary, provenance, sameAs: 0 },
    { event: "failed", number: 2, reason: "killed", attempts: 1 },
  ]);
  check("resultsjson", [JSON.parse(JSON.stringify(resultsOf({ frozen, state })))]);
});

test("docs/formats.md names every function of packed weights", () => {
  assert.deepEqual(tables.names("weights-of-8-and-16-bits"), [BITS, GAPS, NUMBERS]);
});

test("docs/formats.md says what a checkpoint's header holds", () => {
  const tensor = { dims: [1], data: Float32Array.of(1) };
  const metrics = {
    ...{ stage: "retrain", phase: "bases", epoch: 1, step: 2, learningRate: 0.1, loss: 1 },
    ...{ sparsity: 0, macs: 1 },
  };
  const all: Required<Checkpoint> = {
    identity: { networks: "0", options: { seed: "1" } },
    ...{ step: 2, lossSum: 1, hits: 1, images: 2 },
    trend: { mean: 1, lowest: 1 },
    recoveries: [{ problem: "NaN", step: 2, backTo: 1, rateFactor: 0.5 }],
    history: [metrics],
    tensors: new Map([["w", tensor]]),
    network: Uint8Array.of(1),
  };
  const bytes = Buffer.concat(checkpointParts(all));
  const line = bytes.subarray(0, bytes.indexOf("\n")).toString();
  assert.ok(readFileSync("docs/formats.md", "utf8").includes(`\`${line}\``), line);
  const start = line.length + 5;
  const header: unknown = JSON.parse(
    bytes.subarray(start, start + bytes.readUInt32LE(line.length + 1)).toString(),
  );
  check("checkpoints", [header]);
});

/** A network that states all that a module's description can hold. */
function describedCnn(): Graph {
  const preprocessing = {
    ...{ mean: [0, 0, 0], std: [1, 1, 1], scale: 1, layout: "NCHW", colour: "rgb", filter: "cubic" },
    ...{ resize: "letterbox", pad: [1, 2, 3] },
  };
  const metadata = new Map([
    ["penni.preprocessing", JSON.stringify(preprocessing)],
    ["penni.classNames", JSON.stringify([..."abcdefghij"])],
  ]);
  return { ...tinyCnn(), metadata };
}

/** Custom sections by name, in order. */
function customSections(module: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  let at = 8;
  const size = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++];
      assert.ok(byte !== undefined);
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  while (at < module.length) {
    const id = module[at++];
    const length = size();
    const end = at + length;
    if (id === 0) {
      const letters = size();
      const name = new TextDecoder().decode(module.subarray(at, at + letters));
      found.set(name, module.subarray(at + letters, end));
    }
    at = end;
  }
  return found;
}

test("docs/formats.md says what a compiled module holds", () => {
  const sections = customSections(compileToWasm(describedCnn()));
  assert.deepEqual([...sections.keys()], tables.names("a-compiled-module"));
  check("a-modules-description", [JSON.parse(new TextDecoder().decode(sections.get("penni")))]);
  assert.equal(sections.get("penni.sha256")?.length, 32);
});

test("docs/formats.md says what a header of C holds", () => {
  const net = new Network(4, [16, 32, 32], 17, [1, 16, 32, 32]);
  const tiled = net.graph([net.conv("x", 16, { pad: 1 })]);
  const headers = [
    ...[tinyCnn(), tinyDetector()].map((graph) => compileToC(graph, { name: "net", weights: "binary" })),
    compileToC(tinyCnn(), { name: "net", weightsType: "int8" }),
    compileToC(tiled, { name: "net", prepare: true }),
  ].flatMap((files) => files.filter(({ name }) => name.endsWith(".h")));
  const found = headers.flatMap(({ content }) =>
    [...`${content}`.matchAll(/\bNET_\w+/g)].map(([macro]) =>
      macro
        .replace(/^NET_/, "NAME_")
        .replace(/_(?:IN|OUT)PUT(?:_\w+?)?(?=_(?:ELEMENTS|RANK|SHAPE)$)/, "_PORT"),
    ),
  );
  assert.deepEqual([...new Set(found)].toSorted(), tables.names("the-c-interface").toSorted());
  const run = "void net_run(const float *input, float *output, void *scratch";
  const declarations = [
    [0, `${run}, const void *weights);`],
    [2, `${run}, const void *weights);`],
    [2, "void net_unpack(void *weights);"],
    [3, `${run}, const void *prepared);`],
    [3, "void net_prepare(void *prepared);"],
  ] as const;
  for (const [index, declaration] of declarations) {
    const content = `${headers[index]?.content}`;
    assert.ok(content.replaceAll(/\s+/g, " ").replaceAll("( ", "(").includes(declaration), content);
  }
});
