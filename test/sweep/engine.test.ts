import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { PenniError } from "../../src/graph/errors.js";
import { dataFingerprint } from "../../src/sweep/data_fingerprint.js";
import { SweepDirectory } from "../../src/sweep/directory.js";
import { retryFailed, runSweep, type SweepListener } from "../../src/sweep/engine.js";
import { sha256 } from "../../src/sweep/identity.js";
import { Journal, type SweepEvent } from "../../src/sweep/journal.js";
import { frontOf, resultFiles, resultsOf } from "../../src/sweep/results.js";
import type { SweepSpec } from "../../src/sweep/spec.js";
import type { TrialRunner } from "../../src/sweep/trial.js";
import { FakeRunner, fakeMaker, fakeSummary } from "../../support/fake_trials.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-sweep-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let made = 0;
const place = (): string => path.join(folder, `sweep-${made++}`);

const axes = { basis: [1, 2, 3], l1: [0, 0.25, 0.5] };
const grid: SweepSpec = { base: {}, axes, search: { kind: "grid" } };
const searched = (kind: "random" | "halton" | "tpe", trials = 14): SweepSpec => ({
  base: {},
  axes: { basis: [1, 2, 3, 4], l1: { min: 0, max: 1 } },
  search: { kind, trials, seed: 4, objectives: ["quality", "macs"] },
});
const halved: SweepSpec = {
  ...searched("random"),
  search: { kind: "random", trials: 14, seed: 5, objectives: ["quality", "macs"] },
  halving: { rungs: [1, 2, 4], reductionFactor: 2, stage: "retrain" },
};

async function compute(
  sweep: SweepDirectory,
  runner: TrialRunner,
  more: { readonly listener?: SweepListener; readonly signal?: AbortSignal } = {},
): Promise<ReturnType<typeof resultsOf>> {
  try {
    await runSweep({ sweep, runner, make: fakeMaker, ...more });
    return resultsOf(sweep);
  } finally {
    await sweep.close();
  }
}

const begin = (spec: SweepSpec, root = place()): Promise<SweepDirectory> =>
  SweepDirectory.create(root, spec, { files: {}, images: {} });

describe("a sweep", () => {
  test("is the whole grid, the last axis first, one after the other", async () => {
    const runner = new FakeRunner(1);
    const { trials } = await compute(await begin(grid), runner);
    assert.deepEqual(
      trials.map(({ values }) => `${values.basis} ${values.l1}`),
      ["1 0", "1 0.25", "1 0.5", "2 0", "2 0.25", "2 0.5", "3 0", "3 0.25", "3 0.5"],
    );
    assert.ok(trials.every(({ status }) => status === "done"));
    assert.equal(runner.mostAtOnce, 1);
  });

  for (const places of [3, Number.POSITIVE_INFINITY])
    test(`uses ${places} places`, async () => {
      const runner = new FakeRunner(places, undefined, undefined, Math.min(places, 9));
      const { trials } = await compute(await begin(grid), runner);
      assert.equal(runner.mostAtOnce, Math.min(places, 9));
      assert.equal(trials.filter(({ status }) => status === "done").length, 9);
    });

  test("that learns does not ask for everything at once, however many places there are", async () => {
    const runner = new FakeRunner(Number.POSITIVE_INFINITY, undefined, undefined, 3);
    await compute(await begin(searched("tpe", 24)), runner);
    assert.equal(runner.mostAtOnce, 3);
  });

  test("refuses a result that could not be read again", async () => {
    const broken: TrialRunner = {
      places: 1,
      run: async () => ({
        status: "done",
        summary: { ...fakeSummary({ basis: 1, l1: 0 }), model: Object.create(null) },
        provenance: { penni: "0", onnxruntime: "1", worker: "fake", attempts: 1 },
      }),
      close: async () => undefined,
    };
    const root = place();
    await assert.rejects(compute(await begin(grid, root), broken), /trial 0 came to something/);
    const { trials } = await compute(await SweepDirectory.open(root), new FakeRunner(1));
    assert.ok(trials.every(({ status }) => status === "done"));
  });

  test("goes on behind trials that fail, and tries them again when it is told to", async () => {
    const root = place();
    const failing = new FakeRunner(2, ({ values }) => (values.basis === 2 ? "the disk is full" : undefined));
    const first = await compute(await begin(grid, root), failing);
    assert.deepEqual(
      first.trials.filter(({ status }) => status === "failed").map(({ number, reason }) => [number, reason]),
      [3, 4, 5].map((number) => [number, "the disk is full"]),
    );
    const again = new FakeRunner(1);
    await compute(await SweepDirectory.open(root), again);
    assert.deepEqual(again.started, []);
    const sweep = await SweepDirectory.open(root);
    assert.equal(retryFailed(sweep), 3);
    const { trials } = await compute(sweep, again);
    assert.deepEqual(again.started, [3, 4, 5]);
    assert.ok(trials.every(({ status, reason }) => status === "done" && reason === undefined));
  });

  test("goes on behind trials that could not even be begun", async () => {
    const root = place();
    const others = new FakeRunner(1);
    const runner: TrialRunner = {
      places: 1,
      run: async (trial, directory, watch) =>
        trial.number === 1
          ? { status: "failed", reason: "there is no model", attempts: 0 }
          : others.run(trial, directory, watch),
      close: async () => undefined,
    };
    await compute(await begin(grid, root), runner);
    const { trials } = resultsOf(await closed(root));
    assert.deepEqual(
      trials.map(({ status, reason }) => reason ?? status),
      Array.from({ length: 9 }, (_, index) => (index === 1 ? "there is no model" : "done")),
    );
  });

  test("whose description is damaged or of another version says so", async () => {
    const root = place();
    await (await begin(grid, root)).close();
    const file = path.join(root, "sweep.json");
    const whole = readFileSync(file, "utf8");
    for (const [text, message] of [
      [whole.slice(0, 60), /sweep\.json.*found no JSON: it may be cut off\. Put/],
      [
        whole.replace('"format": 1', '"format": 7'),
        /found format 7, which is that of another version of Penni\./,
      ],
      [whole.replace('"files"', '"folders"'), /found .*"folders".*at files/],
    ] as const) {
      writeFileSync(file, text);
      await assert.rejects(SweepDirectory.open(root), message);
    }
  });

  test("ends with the runner's fault, and can go on", async () => {
    const root = place();
    const faulty: TrialRunner = {
      places: 2,
      run: async ({ number }) => {
        if (number === 4) throw new PenniError("io", "the queue is gone");
        return new FakeRunner(1).run(
          { number, id: `${number}`, values: { basis: 1, l1: 0 }, settings: {} },
          "",
          {
            signal: new AbortController().signal,
            onEpoch: () => "go-on",
          },
        );
      },
      close: async () => undefined,
    };
    await assert.rejects(compute(await begin(grid, root), faulty), /the queue is gone/);
    const { trials } = await compute(await SweepDirectory.open(root), new FakeRunner(2));
    assert.ok(trials.every(({ status }) => status === "done"));
  });

  test("ends when a file that it is of becomes another one, and goes on when that is back", async () => {
    const root = place();
    const file = `${root}.txt`;
    writeFileSync(file, "cat");
    const files = { [file]: sha256("cat"), [`${root}-gone.txt`]: sha256("dog") };
    writeFileSync(`${root}-gone.txt`, "dog");
    const runner = new FakeRunner(1, undefined, (computed) => {
      // What is gone is for those to say that need it.
      if (computed === 3) rmSync(`${root}-gone.txt`);
      if (computed === 14) writeFileSync(file, "owl");
    });
    const sweep = await SweepDirectory.create(root, grid, { files, images: {} });
    await assert.rejects(compute(sweep, runner), /\.txt: this file has changed since the sweep was started/);
    assert.deepEqual(runner.started, [0, 1, 2]);
    await assert.rejects(SweepDirectory.open(root), /has changed since/);
    writeFileSync(file, "cat");
    await assert.rejects(SweepDirectory.open(root), /-gone\.txt.*no such file/);
    writeFileSync(`${root}-gone.txt`, "dog");
    const { trials } = await compute(await SweepDirectory.open(root), runner);
    assert.ok(trials.every(({ status }) => status === "done"));
    assert.equal(runner.epochsComputed, 9 * 6);
  });

  test("does not go on with other images", async () => {
    const root = place();
    mkdirSync(`${root}-photos`);
    writeFileSync(path.join(`${root}-photos`, "1.png"), "cat");
    const spec = `images:${root}-photos`;
    const images = { [spec]: (await dataFingerprint(spec)) ?? "" };
    await (await SweepDirectory.create(root, grid, { files: {}, images })).close();
    await (await SweepDirectory.open(root)).close();
    const file = path.join(root, "sweep.json");
    writeFileSync(file, readFileSync(file, "utf8").replace(`${images[spec]}`, "0".repeat(64)));
    await assert.rejects(SweepDirectory.open(root), /photos: these images have changed since/);
  });

  test("that is paused keeps what was computed, and goes on with it", async () => {
    const root = place();
    const controller = new AbortController();
    const runner = new FakeRunner(2, undefined, (computed) => {
      if (computed === 16) controller.abort();
    });
    await assert.rejects(
      compute(await begin(grid, root), runner, { signal: controller.signal }),
      (error) => error instanceof PenniError && error.code === "interrupted",
    );
    const before = runner.epochsComputed;
    assert.ok(before < 20);
    const { trials } = await compute(await SweepDirectory.open(root), runner);
    assert.ok(trials.every(({ status }) => status === "done"));
    assert.equal(runner.epochsComputed, 9 * 6);
  });

  test("does not compute what another trial has computed", async () => {
    const spec: SweepSpec = { ...searched("random", 12), axes: { basis: [1, 2], l1: [0, 1] } };
    for (const places of [1, 5]) {
      const runner = new FakeRunner(places);
      const { trials } = await compute(await begin(spec), runner);
      assert.ok(trials.length === 12 && trials.every(({ status }) => status === "done"));
      assert.equal(runner.started.length, runner.computed.size);
      assert.ok(runner.computed.size <= 4);
      const copies = trials.filter(({ sameAs }) => sameAs !== undefined);
      assert.equal(copies.length, 12 - runner.computed.size);
      for (const { sameAs, figures } of copies) assert.deepEqual(figures, trials[sameAs ?? -1]?.figures);
    }
  });

  test("notes combinations that cannot be, without running them", async () => {
    const sweep = await begin(searched("halton"));
    const runner = new FakeRunner(1);
    try {
      await runSweep({
        sweep,
        runner,
        make: async (values) => {
          if (values.basis === 3) throw new PenniError("bad-option", "these contradict each other");
          return fakeMaker(values);
        },
      });
    } finally {
      await sweep.close();
    }
    const { trials } = resultsOf(sweep);
    for (const { values, status, reason } of trials)
      assert.deepEqual(
        [status, reason],
        values.basis === 3 ? ["failed", "these contradict each other"] : ["done", undefined],
      );
    assert.equal(runner.started.length, trials.filter(({ status }) => status === "done").length);
  });
});

test("trials that were taken off the queue are not begun again: the sweep ends when those that run have", async () => {
  const root = place();
  const runner = new FakeRunner(3);
  let calls = 0;
  const drained: TrialRunner = {
    places: 3,
    run: (trial, directory, watch) =>
      calls++ === 1 ? Promise.resolve({ status: "paused" }) : runner.run(trial, directory, watch),
    close: async () => undefined,
  };
  await assert.rejects(
    compute(await begin(grid, root), drained),
    (error) => error instanceof PenniError && error.code === "interrupted" && /taken off/.test(error.message),
  );
  assert.deepEqual(runner.started, [0, 2]);
  const { trials } = await compute(await SweepDirectory.open(root), runner);
  assert.ok(trials.every(({ status }) => status === "done"));
});

describe("the journal", () => {
  const event = (number: number): SweepEvent => ({ event: "started", number });

  test("brings what is noted at once to the disk at once, in order, and behind what could not be written nothing", async (t) => {
    const file = `${place()}.jsonl`;
    const probe = await open(file, "a");
    const handles: object = Object.getPrototypeOf(probe);
    await probe.close();
    const synced = t.mock.method(handles as typeof probe, "datasync");
    const journal = await Journal.open(file);
    const flushes: Promise<void>[] = [];
    for (let number = 0; number < 500; number++) {
      journal.append(event(number));
      flushes.push(journal.flush());
      if (number === 250) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(flushes);
    assert.deepEqual(
      (await Journal.read(file)).map(({ number }) => number),
      Array.from({ length: 500 }, (_, number) => number),
    );
    assert.ok(synced.mock.callCount() <= 6, `${synced.mock.callCount()}`);

    const full = t.mock.method(handles as typeof probe, "appendFile", async () => {
      throw Object.assign(new Error("no space"), { code: "ENOSPC" });
    });
    journal.append(event(500));
    await assert.rejects(journal.flush(), /cannot append to the file.*ENOSPC/);
    full.mock.restore();
    journal.append(event(501));
    await assert.rejects(journal.flush(), /ENOSPC/);
    await journal.close();
    assert.equal((await Journal.read(file)).length, 500);
  });
});

test("what runs left behind that were killed while they were made is removed", async () => {
  const root = place();
  await (await begin(grid, root)).close();
  for (const name of ["000.new-0123456789ab", "000.new-4711"]) mkdirSync(path.join(root, "trials", name));
  for (const name of ["001", "notes.new-ab"]) mkdirSync(path.join(root, "trials", name));
  await (await SweepDirectory.open(root)).close();
  assert.deepEqual(readdirSync(path.join(root, "trials")).sort(), ["001", "notes.new-ab"]);
});

describe("successive halving in a sweep", () => {
  test("stops trials that fall behind, and promotes some of them later", async () => {
    const sweep = await begin(halved);
    const runner = new FakeRunner(1);
    const { trials } = await compute(sweep, runner);
    const by = (wanted: string): number => trials.filter(({ status }) => status === wanted).length;
    assert.ok(by("stopped") >= 4 && by("done") >= 2, `${by("stopped")} stopped, ${by("done")} done`);
    assert.equal(by("stopped") + by("done"), 14);
    assert.ok(runner.started.length > new Set(runner.started).size, "none was promoted");
    // The best of all is never among those that were stopped.
    const finals = sweep.state.map(({ number, rungs }) => ({ number, first: rungs[0] ?? 0 }));
    const best = finals.reduce((most, one) => (one.first > most.first ? one : most));
    assert.equal(trials[best.number]?.status, "done");
    assert.ok(runner.epochsComputed < 14 * 6);
  });

  test("with several places comes to an end, too", async () => {
    const { trials } = await compute(await begin(halved), new FakeRunner(4));
    assert.ok(trials.every(({ status }) => status === "done" || status === "stopped"));
  });
});

describe("a kill at any moment", () => {
  const specs: Readonly<Record<string, SweepSpec>> = { grid, tpe: searched("tpe"), halving: halved };
  for (const [name, spec] of Object.entries(specs)) {
    test(`${name}: whatever was written of the journal, the sweep ends with the same table, and nothing is computed twice`, async () => {
      const root = place();
      const runner = new FakeRunner(1);
      await compute(await begin(spec, root), runner);
      const journal = path.join(root, "trials.jsonl");
      const bytes = readFileSync(journal);
      const expected = resultFiles(await closed(root));
      const cuts = new Set([0, 1, bytes.length - 1, bytes.length]);
      for (let index = bytes.indexOf(10); index >= 0; index = bytes.indexOf(10, index + 1))
        for (const cut of [index, index + 1, index + 60]) if (cut <= bytes.length) cuts.add(cut);
      for (const cut of [...cuts].filter((_, index) => index % 2 === 0 || index < 4)) {
        const copy = place();
        cpSync(root, copy, { recursive: true });
        truncateSync(path.join(copy, "trials.jsonl"), cut);
        const before = runner.epochsComputed;
        await compute(await SweepDirectory.open(copy), runner);
        assert.equal(runner.epochsComputed, before);
        assert.deepEqual(resultFiles(await closed(copy)), expected, `cut at ${cut}`);
        rmSync(copy, { recursive: true });
      }
    });
  }

  test("a line in the middle that is damaged, or out of order, is named", async () => {
    const root = place();
    await compute(await begin(grid, root), new FakeRunner(1));
    const journal = path.join(root, "trials.jsonl");
    const lines = readFileSync(journal, "utf8").split("\n");
    writeFileSync(journal, lines.with(3, "{}").join("\n"));
    await assert.rejects(
      SweepDirectory.open(root),
      /trials\.jsonl: line 4 of the sweep's journal is damaged/,
    );
    writeFileSync(journal, lines.toSpliced(0, 1).join("\n"));
    await assert.rejects(SweepDirectory.open(root), /says "started" of trial 0, which cannot be/);
    assert.ok(!existsSync(path.join(root, "run-1.lock")), "the lock stays");
  });
});

/** A sweep's record, with nobody working in it. */
async function closed(root: string): Promise<SweepDirectory> {
  const sweep = await SweepDirectory.open(root);
  await sweep.close();
  return sweep;
}

test("the fronts have all equal points, and none that lacks a figure", async () => {
  const { trials } = await compute(await begin(grid), new FakeRunner(1));
  const front = frontOf(trials, ["quality", "bytes"]);
  // What is missing of basis 2 is its time only.
  assert.deepEqual(
    front.trials.map(({ values }) => values.basis),
    [1, 2, 3],
  );
  assert.deepEqual(
    frontOf(trials, ["quality", "compiledMs"]).trials.map(({ values }) => values.basis),
    [1, 3],
  );
  const [first] = trials;
  assert.ok(first !== undefined);
  assert.deepEqual(
    frontOf(
      [first, { ...first, number: 1 }, { ...first, number: 2, status: "stopped" }],
      ["quality", "macs"],
    ).trials.map(({ number }) => number),
    [0, 1],
  );
});

test("texts of the table are kept from being taken for formulas and further columns", () => {
  const { "table.csv": csv = "" } = resultFiles({
    frozen: {
      format: 1,
      spec: { ...grid, axes: { data: ["x"] } },
      files: {},
      images: {},
      versions: { penni: "0", node: "20", onnxruntime: "1" },
    },
    state: [
      {
        ...{ number: 0, values: { data: '=cmd|"x"' }, id: "0", status: "failed", wasStarted: true },
        ...{ isHeld: false, rungs: [], reason: "a, b\nc" },
      },
    ],
  });
  const [heading, ...rest] = csv.split("\r\n");
  assert.equal(heading, "trial,data,status,quality,macs,bytes,compiledMs,latencyMs,parameters,run,reason");
  assert.equal(rest.join("|"), `0,"'=cmd|""x""",failed,,,,,,,trials/000,"a, b\nc"|`);
});
