import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { int } from "../../src/graph/attributes.js";
import { penni } from "../../support/command_line.js";
import { Network } from "../../support/network.js";
import { PenniProcess } from "../../support/penni_process.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-sweep-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (...names: readonly string[]): string => path.join(folder, ...names);

await writeModel(file("tiny.onnx"), tinyCnn());

function withoutConvolution() {
  const net = new Network(1, [3, 4, 4]);
  return net.graph([net.gemm(net.op("Flatten", ["x"], { axis: int(1) }), 10)]);
}
await writeModel(file("dense.onnx"), withoutConvolution());

const base = {
  model: "tiny.onnx",
  data: "synthetic:200",
  targetMacs: 0.9,
  epochs: 0,
  fineTuneEpochs: 0,
  batch: 16,
};

let count = 0;
function sweepFile(content: unknown, name = `sweep-${count++}.json`): string {
  writeFileSync(file(name), typeof content === "string" ? content : JSON.stringify(content));
  return file(name);
}

const json = (...names: readonly string[]): unknown => JSON.parse(readFileSync(file(...names), "utf8"));

/** What is wrong, the file, and what the one line on stderr must say. */
const refusals: readonly (readonly [string, unknown, RegExp])[] = [
  ["no JSON", "{", /this is no JSON/],
  [
    "a name twice, of which JSON would pass over the first",
    `{"base": ${JSON.stringify(base)},\n "axes": {"basis": [2], "seed": [1], "basis": [3]}}`,
    /line 2: a name is there for the second time: .*"basis"/,
  ],
  ["no object", [], /the sweep is not what it should be/],
  ["no axes", { base }, /axes is not what it should be/],
  ["empty axes", { base, axes: {} }, /axes are empty/],
  ["a misspelt part", { base, axis: { basis: [2] } }, /there is no axis.*Did you mean axes\?/],
  [
    "a misspelt setting",
    { base: { ...base, presett: "fast" }, axes: { basis: [2] } },
    /there is no base\.presett.*Did you mean preset\?/,
  ],
  ["a misspelt axis", { base, axes: { bassis: [2] } }, /there is no axes\.bassis.*Did you mean basis\?/],
  ["a place for results", { base: { ...base, out: "x" }, axes: { basis: [2] } }, /there is no base\.out/],
  ["an empty list", { base, axes: { basis: [] } }, /axes\.basis is not what it should be/],
  [
    "a misspelt choice",
    { base, axes: { preset: ["fast", "calbrate"] } },
    /axes\.preset\[1\].*"calbrate".*Did you mean calibrate\?/,
  ],
  [
    "a value out of range",
    { base, axes: { basis: [2, 0] } },
    /axes\.basis\[1\]: expected a whole number from 1, found "0"/,
  ],
  ["a share beyond all", { base, axes: { validation: [0.1, 2] } }, /axes\.validation\[1\]/],
  ["a value twice", { base, axes: { seed: [1, 2, 1] } }, /axes\.seed\[2\] is there already/],
  [
    "a value twice, once as a text",
    { base, axes: { basis: ["2", 3, 2] } },
    /axes\.basis\[2\] is there already/,
  ],
  [
    "a range with a misspelt end",
    { base, axes: { l1: { min: 1, mx: 2 } }, search: { kind: "random", trials: 3 } },
    /there is no axes\.l1\.mx.*Did you mean max\?/,
  ],
  [
    "a range without an end",
    { base, axes: { l1: { min: 1 } }, search: { kind: "random", trials: 3 } },
    /axes\.l1\.max is not what it should be/,
  ],
  [
    "one value in place of a list",
    { base, axes: { basis: 4 } },
    /axes\.basis .*expected array, received number/,
  ],
  ["an axis in base", { base: { ...base, basis: 2 }, axes: { basis: [2] } }, /axes\.basis is in base, too/],
  [
    "a range in a grid",
    { base, axes: { l1: { min: 0, max: 1 } } },
    /axes\.l1 is a range, and a grid goes through lists/,
  ],
  [
    "a range upside down",
    { base, axes: { l1: { min: 1, max: 0 } }, search: { kind: "tpe", trials: 3 } },
    /axes\.l1.*max above min/,
  ],
  [
    "a logarithm of 0",
    { base, axes: { l1: { min: 0, max: 1, log: true } }, search: { kind: "tpe", trials: 3 } },
    /axes\.l1.*min above 0/,
  ],
  [
    "a range of names",
    { base, axes: { preset: { min: 0, max: 1 } }, search: { kind: "tpe", trials: 3 } },
    /axes\.preset/,
  ],
  [
    "an end out of range",
    { base, axes: { basis: { min: 0, max: 4, integer: true } }, search: { kind: "tpe", trials: 3 } },
    /axes\.basis\.min: expected a whole number from 1/,
  ],
  [
    "an unknown search",
    { base, axes: { seed: [1] }, search: { kind: "tpee", trials: 3 } },
    /search\.kind.*"tpee".*Did you mean tpe\?/,
  ],
  ["a search without end", { base, axes: { seed: [1] }, search: { kind: "random" } }, /search\.trials/],
  [
    "an unknown objective",
    { base, axes: { seed: [1] }, search: { kind: "tpe", trials: 3, objectives: ["bites"] } },
    /search\.objectives\[0\].*Did you mean bytes\?/,
  ],
  [
    "rungs that fall",
    { base, axes: { seed: [1] }, halving: { rungs: [2, 1], reductionFactor: 3 } },
    /halving\.rungs/,
  ],
  [
    "a part of another kind of search",
    { base, axes: { seed: [1] }, search: { kind: "grid", trials: 3 } },
    /there is no search\.trials: expected kind$/m,
  ],
  [
    "a fraction of a whole number",
    { base, axes: { seed: { min: 1, max: 2.5 } }, search: { kind: "random", trials: 3 } },
    /axes\.seed is a range of whole numbers: expected whole numbers as min and max/,
  ],
  [
    "whole numbers that are to be none",
    { base, axes: { basis: { min: 2, max: 5, integer: false } }, search: { kind: "tpe", trials: 3 } },
    /axes\.basis is a range of whole numbers/,
  ],
  [
    "rungs that no trial comes to",
    { base: { ...base, epochs: 3 }, axes: { seed: [1, 2] }, halving: { rungs: [4, 5], reductionFactor: 3 } },
    /halving\.rungs\[0\] comes after the last epoch of every trial: expected at most 3, .* found 4/,
  ],
  ["two rules", { base, axes: { maxLoss: ["1%"] } }, /axes\.maxLoss contradicts base\.targetMacs/],
  [
    "two rules as axes",
    { base: { ...base, targetMacs: undefined }, axes: { maxLoss: ["1%"], targetSize: ["1kB"] } },
    /axes\.targetSize contradicts axes\.maxLoss/,
  ],
  [
    "a contradiction in one trial",
    { base, axes: { seed: [1, 2], penalty: ["coefficients", "channels"] } },
    /a trial with seed 1, penalty channels: --penalty channels has nothing to change here/,
  ],
  [
    "no model",
    { base: { data: "synthetic" }, axes: { seed: [1] } },
    /there is no model.*base\.model or axes\.model/,
  ],
  ["no data", { base: { model: "tiny.onnx" }, axes: { seed: [1] } }, /there is no data/],
  [
    "a missing model",
    { base: { data: "synthetic:200", targetMacs: 0.9 }, axes: { model: ["tiny.onnx", "none.onnx"] } },
    /none\.onnx.*no such file/,
  ],
  [
    "a model with nothing to compress",
    { base: { ...base, model: undefined }, axes: { model: ["tiny.onnx", "dense.onnx"] } },
    /dense\.onnx: there is nothing to compress/,
  ],
  ["missing data", { base: { ...base, data: "folder:none" }, axes: { seed: [1] } }, /none/],
];

describe("a sweep that cannot be is refused before anything starts", () => {
  for (const [name, content, expected] of refusals)
    test(name, async () => {
      const out = file(`refused-${count}`);
      const { status, stdout, stderr } = await penni(["sweep", sweepFile(content), "-o", out]);
      assert.deepEqual([status, stdout], [1, ""], stderr);
      assert.match(stderr.trimEnd().split("\n").at(-1) ?? "", /^penni: /);
      assert.match(stderr, expected);
      assert.doesNotMatch(stderr, /unexpected error/);
      assert.ok(!existsSync(out));
    });

  test("wrong arguments", async () => {
    const sweep = sweepFile({ base, axes: { seed: [1] } });
    mkdirSync(file("occupied"));
    writeFileSync(file("occupied", "notes.txt"), "mine");
    for (const [args, expected] of [
      [[], /expected penni sweep FILE -o DIR/],
      [[sweep], /-o DIR/],
      [[sweep, "--resume", folder], /penni sweep --resume DIR, found .*--resume/],
      [["--resume", folder], /there is no sweep in this directory/],
      [["--resume", folder, "--plan"], /--plan has nothing to say here/],
      [[sweep, "-o", file("x"), "--retry-failed"], /--retry-failed has nothing to say here/],
      [[sweep, "-o", file("x"), "--jobs", "0"], /whole number from 1/],
      [[sweep, "-o", file("occupied")], /this directory is not empty/],
      [[file("none.yaml"), "-o", file("x")], /none\.yaml/],
      [[file("tiny.onnx"), "-o", file("x")], /expected a name that ends in \.json/],
    ] as const) {
      const { status, stderr } = await penni(["sweep", ...args]);
      assert.equal(status, 1);
      assert.match(stderr, expected);
    }
  });
});

test("a plan says what would be run, in YAML as in JSON", async () => {
  const yaml = sweepFile(
    "base: {model: tiny.onnx, data: 'synthetic:200', targetMacs: 0.9}\naxes:\n  basis: [2, 3]\n  seed: [1, 2]\n",
    "plan.yaml",
  );
  const { status, stdout, stderr } = await penni(["sweep", yaml, "--plan"]);
  assert.equal(status, 0, stderr);
  assert.equal(stdout, "0: basis 2, seed 1\n1: basis 2, seed 2\n2: basis 3, seed 1\n3: basis 3, seed 2\n");
});

test("ranges of settings that are whole numbers draw such ones, others any", async () => {
  const axes = { seed: { min: 1, max: 99 }, basis: { min: 2, max: 5 }, l1: { min: 0, max: 1 } };
  const spec = { base, axes, search: { kind: "halton", trials: 9 } };
  const { status, stdout, stderr } = await penni(["sweep", sweepFile(spec), "--plan", "--json"]);
  assert.equal(status, 0, stderr);
  const { trials } = JSON.parse(stdout) as {
    readonly trials: readonly { readonly params: Readonly<Record<string, number>> }[];
  };
  for (const { params } of trials)
    assert.deepEqual(
      Object.entries(params).map(([name, value]) => [name, Number.isInteger(value)]),
      [
        ["seed", true],
        ["basis", true],
        ["l1", false],
      ],
    );
});

test("editors are told what a sweep file may hold", async () => {
  const { status, stdout } = await penni(["schema", "sweep"]);
  assert.equal(status, 0);
  const schema = JSON.parse(stdout) as { readonly required: readonly string[]; readonly properties: object };
  assert.deepEqual(Object.keys(schema.properties), ["$schema", "base", "axes", "search", "halving"]);
  assert.deepEqual(schema.required, ["axes"]);
});

/** So many that one that falls behind is asked to stop long before its last. */
const EPOCHS = 16;
const LONG = { ...base, epochs: 10_000, threads: 1, checkpointSeconds: 0.2 };
const skip = process.platform === "win32" ? "Windows has no signals" : false;

/** A training of the first trial has left a checkpoint. */
const hasCheckpoint = (root: string): boolean => {
  const checkpoints = path.join(root, "trials", "000", "checkpoints");
  return existsSync(checkpoints) && readdirSync(checkpoints).some((name) => name.endsWith(".ckpt"));
};

/** Numbers of the epochs of a stage that the lines of a trial's file tell of. */
const epochsIn = (root: string, number: string, name: string): readonly number[] =>
  readFileSync(path.join(root, "trials", number, name), "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { readonly stage: string; readonly epoch: number })
    .flatMap(({ stage, epoch }) => (stage === "retrain" ? [epoch] : []));

// Each of its own files: they go on at the same time.
describe("a sweep on this machine", { concurrency: 4 }, () => {
  test("a sweep ends with a table, fronts and a page; one that failed is named; nothing is computed again", async () => {
    const root = file("whole");
    // Of 0.01 of the multiply-accumulates so small a network cannot be made.
    const own = file("own.onnx");
    await writeModel(own, tinyCnn());
    const spec = {
      base: { ...base, model: "own.onnx", targetMacs: undefined },
      axes: { basis: [3, 5], targetMacs: [0.01, 0.9] },
    };
    const words = ["sweep", sweepFile(spec), "-o", root, "--jobs", "2"];
    const first = await new PenniProcess(words, { COLUMNS: "50" }).ended;
    assert.equal(first.status, 1, first.stderr);
    assert.match(first.stderr, /penni: 2 of 4 trials failed\. .*--resume .*whole --retry-failed/);
    assert.deepEqual(
      first.stdout.split("\n").filter((line) => line.length > 50 && !/failed:|\//.test(line)),
      [],
    );
    assert.match(first.stdout, /^trial .*\n0 .*failed\n1\*? .*done\n2 .*failed\n3\*? .*done$/m);
    assert.match(first.stdout.replaceAll("\n", " "), /trial 0 \(basis 3, targetMacs 0\.01\) failed: /);
    const { trials } = json("whole", "results.json") as {
      readonly trials: readonly {
        readonly status: string;
        readonly figures: Readonly<Record<string, number>>;
      }[];
    };
    assert.deepEqual(
      trials.map(({ status }) => status),
      ["failed", "done", "failed", "done"],
    );
    assert.ok(trials.every(({ status, figures }) => status === "failed" || (figures.macs ?? 0) > 0));
    const { fronts } = json("whole", "pareto.json") as {
      readonly fronts: readonly { readonly by: unknown }[];
    };
    assert.deepEqual(
      fronts.map(({ by }) => by),
      [
        ["quality", "macs"],
        ["quality", "bytes"],
        ["quality", "compiledMs"],
      ],
    );
    assert.equal(readFileSync(file("whole", "table.csv"), "utf8").split("\r\n").length, 6);
    const page = readFileSync(file("whole", "report.html"), "utf8");
    for (const number of ["001", "003"]) {
      assert.ok(existsSync(file("whole", "trials", number, "report.html")));
      assert.match(page, new RegExp(`href="trials/${number}/report\\.html"`));
    }
    const model = readFileSync(file("whole", "trials", "001", "model.onnx"));
    const journal = readFileSync(file("whole", "trials.jsonl"));

    const again = await penni(["sweep", "--resume", root, "--json"]);
    assert.equal(again.status, 1);
    assert.deepEqual(readFileSync(file("whole", "trials.jsonl")), journal);
    assert.deepEqual(
      (JSON.parse(again.stdout) as { readonly trials: unknown }).trials,
      trials.map((trial) => JSON.parse(JSON.stringify(trial))),
    );
    // The journal lost what had become of them: their directories say it.
    writeFileSync(file("whole", "trials.jsonl"), journal.subarray(0, journal.indexOf('"event":"done"')));
    await penni(["sweep", "--resume", root]);
    assert.deepEqual(
      (json("whole", "results.json") as { readonly trials: unknown }).trials,
      JSON.parse(JSON.stringify(trials)),
    );
    assert.deepEqual(readFileSync(file("whole", "trials", "001", "model.onnx")), model);

    const report = await penni(["report", root, "-o", file("elsewhere.html")]);
    assert.equal(report.status, 0, report.stderr);
    assert.match(readFileSync(file("elsewhere.html"), "utf8"), /href="whole\/trials\/001\/report\.html"/);

    // A run that is damaged takes its own point away, and not the page.
    writeFileSync(file("whole", "trials", "003", "config.json"), "{");
    const damaged = await penni(["report", root, "-o", file("damaged.html")]);
    assert.equal(damaged.status, 0, damaged.stderr);
    const rest = readFileSync(file("damaged.html"), "utf8");
    assert.match(rest, /<li>trial 3: .*003\/config\.json/);
    assert.match(rest, /href="whole\/trials\/001\/report\.html"/);

    await writeModel(own, tinyCnn(2));
    const changed = await penni(["sweep", "--resume", root]);
    assert.equal(changed.status, 1);
    assert.match(changed.stderr, /own\.onnx: this file has changed since the sweep was started/);
  });

  test("Ctrl-C pauses with a checkpoint; a sweep that is killed takes its trials along; both go on", {
    skip,
  }, async () => {
    const root = file("paused");
    const running = new PenniProcess([
      "sweep",
      sweepFile({ base: LONG, axes: { seed: [1, 2] } }),
      "-o",
      root,
    ]);
    assert.ok(await running.until(() => hasCheckpoint(root)), running.output);
    running.signalGroup("SIGINT");
    const { status, stderr } = await running.ended;
    assert.equal(status, 130, stderr);
    const how = "0 of 2 trials are done, 1 paused, 1 to come";
    assert.match(
      stderr,
      new RegExp(`penni: the sweep is paused: ${how}\\. Go on with: penni sweep --resume .*paused`),
    );
    assert.match(stderr, /^report: .*paused.report\.html$/m);
    assert.match(
      readFileSync(path.join(root, "report.html"), "utf8"),
      new RegExp(`${how}.*>paused</span>`, "s"),
    );
    assert.match(readFileSync(path.join(root, "trials", "000.log"), "utf8"), /a checkpoint is written/);
    assert.match(JSON.stringify(json("paused", "results.json")), /"status":"paused"/);
    assert.ok(!readdirSync(root).some((name) => name.endsWith(".lock")));

    const again = new PenniProcess(["sweep", "--resume", root]);
    const lock = (): string | undefined =>
      readdirSync(path.join(root, "trials", "000")).find((name) => name.endsWith(".lock"));
    // It is there before it is written.
    const locked = (): string => readFileSync(path.join(root, "trials", "000", lock() ?? ""), "utf8");
    assert.ok(await again.until(() => lock() !== undefined && locked() !== ""), again.output);
    const { owner } = JSON.parse(locked()) as { readonly owner: { readonly pid: number } };
    const second = await penni(["sweep", "--resume", root]);
    assert.match(second.stderr, /another run works in this directory/);
    again.signal("SIGKILL");
    await again.ended;
    const isRunning = (): boolean => {
      try {
        process.kill(owner.pid, 0);
        return true;
      } catch {
        return false;
      }
    };
    while (isRunning()) await new Promise((resolve) => setTimeout(resolve, 20));
    const third = new PenniProcess(["sweep", "--resume", root]);
    assert.ok(await third.until(() => third.output.includes("trial 0 of 2")));
    assert.ok(await third.until(() => lock() !== undefined), third.output);
    third.signal("SIGTERM");
    assert.equal((await third.ended).status, 143);
  });

  test("trials that fall behind are stopped at a rung, one goes on from its checkpoint when enough have come", async () => {
    const root = file("halved");
    // All train alike up to the rung, so that on every machine the earlier one of two is the better one.
    const spec = {
      base: {
        ...base,
        fineTuneEpochs: undefined,
        epochs: EPOCHS,
        threads: 1,
        checkpointSeconds: 0.2,
      },
      axes: { fineTuneEpochs: [0, 0.25, 0.5] },
      // Of two one goes on, of three two.
      halving: { rungs: [1], reductionFactor: 1.5 },
    };
    const { status, stderr } = await penni(["sweep", sweepFile(spec), "-o", root]);
    assert.equal(status, 0, stderr);
    const { trials } = json("halved", "results.json") as {
      readonly trials: readonly { readonly status: string }[];
    };
    assert.deepEqual(
      trials.map((trial) => trial.status),
      ["done", "done", "stopped"],
    );
    const events = readFileSync(path.join(root, "trials.jsonl"), "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { readonly event: string; readonly number: number });
    assert.deepEqual(
      events.filter(({ number }) => number === 1).map(({ event }) => event),
      ["asked", "started", "rung", "stopped", "promoted", "started", "done"],
    );
    for (const number of ["001", "002"])
      assert.match(
        readFileSync(path.join(root, "trials", `${number}.log`), "utf8"),
        // Between two stages the first one's result is what it goes on from.
        /a checkpoint is written|stopped before stage/,
      );
    // No epoch of the one that went on was computed twice, and it came to where it would have come undisturbed.
    const all = Array.from({ length: EPOCHS }, (_, index) => index + 1);
    for (const name of ["metrics.jsonl", "timing.jsonl"])
      assert.deepEqual(epochsIn(root, "001", name), all, name);
    assert.deepEqual(
      readFileSync(path.join(root, "trials", "001", "stages", "retrain.onnx")),
      readFileSync(path.join(root, "trials", "000", "stages", "retrain.onnx")),
    );
    assert.ok(epochsIn(root, "002", "metrics.jsonl").length < EPOCHS);
    const journal = readFileSync(path.join(root, "trials.jsonl"));
    assert.equal((await penni(["sweep", "--resume", root])).status, 0);
    assert.deepEqual(readFileSync(path.join(root, "trials.jsonl")), journal);
  });

  test("--open shows the report while the sweep goes on, with the pages of its trials", {
    skip: process.platform === "linux" ? false : "needs xdg-open, which a script stands for",
  }, async () => {
    const root = file("opened");
    mkdirSync(file("bin"));
    writeFileSync(
      file("bin", "xdg-open"),
      `#!/bin/sh\nprintf %s "$1" > ${file("new")} && mv ${file("new")} ${file("address")}\n`,
    );
    chmodSync(file("bin", "xdg-open"), 0o755);
    const spec = { base: { ...LONG, epochs: undefined }, axes: { epochs: [0, 10_000] } };
    const running = new PenniProcess(["sweep", sweepFile(spec), "-o", root, "--open"], {
      PATH: `${file("bin")}${path.delimiter}${process.env.PATH}`,
    });
    try {
      assert.ok(
        await running.until(() => existsSync(path.join(root, "trials", "001", "config.json"))),
        running.output,
      );
      const address = readFileSync(file("address"), "utf8");
      const page = await (await fetch(address)).text();
      assert.match(page, /1 of 2 trials is done, 1 running/);
      const [, link = ""] = /href="(trials\/000\/report\.html)"/.exec(page) ?? [];
      const trial = await fetch(new URL(link, address));
      assert.equal(trial.status, 200);
      assert.match(await trial.text(), /class="pill finished"/);
      for (const name of [
        "trials/001/config.json",
        "sweep.json",
        "trials/../sweep.json",
        "trials/007/report.html",
      ])
        assert.ok([403, 404].includes((await fetch(`${address}${name}`)).status), name);
    } finally {
      running.signal("SIGINT");
    }
    const { status, stderr } = await running.ended;
    assert.equal(status, 130, stderr);
    assert.match(stderr, /1 of 2 trials is done, 1 paused/);
  });
});
