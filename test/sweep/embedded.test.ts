import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { EmbeddedRunner } from "../../src/sweep/embedded.js";
import type { Trial, TrialEpoch, TrialOutcome, TrialWatch } from "../../src/sweep/trial.js";
import { fakeSummary } from "../../support/fake_trials.js";
import { epoch } from "../../support/report_run.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-embedded-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Stands for the command line: does what the settings in its configuration say, in the run's directory. */
const PROGRAM = `
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
const words = process.argv.slice(2);
const of = (flag) => words[words.indexOf(flag) + 1];
const root = words.includes("--resume") ? of("--resume") : of("-o");
if (!words.includes("--resume")) {
  mkdirSync(root);
  writeFileSync(root + "/config.json", readFileSync(of("--config"), "utf8"));
}
const { compress } = JSON.parse(readFileSync(root + "/config.json", "utf8"));
process.on("message", () => {
  console.error("asked to stop");
  process.exit(143);
});
process.on("disconnect", () => process.exit(1));
appendFileSync(root + "/calls.txt", words.join(" ") + "\\n");
for (const line of compress.lines ?? []) appendFileSync(root + "/metrics.jsonl", line);
if (compress.does === "fail") {
  console.error("penni: the disk is full. Free some space");
  process.exit(1);
} else if (compress.does === "die") process.kill(process.pid, "SIGKILL");
else if (compress.does === "lie") process.exit(0);
else if (compress.does === "finish") {
  writeFileSync(root + "/summary.json", JSON.stringify(compress.summary));
  process.exit(0);
} else setInterval(() => undefined, 1000);
`;
const program = path.join(folder, "program.mjs");
writeFileSync(program, PROGRAM);

let count = 0;

interface Told {
  readonly outcome: TrialOutcome;
  readonly epochs: readonly TrialEpoch[];
  readonly directory: string;
}

async function run(
  settings: Readonly<Record<string, unknown>>,
  {
    directory = path.join(folder, `${count++}`),
    stopAt = Number.POSITIVE_INFINITY,
    signal = new AbortController().signal,
    onEpoch = (): void => undefined,
  } = {},
): Promise<Told> {
  const runner = new EmbeddedRunner({ jobs: 2, program: pathToFileURL(program), threads: 5 });
  const trial: Trial = { id: "0", number: 0, values: {}, settings };
  const epochs: TrialEpoch[] = [];
  const watch: TrialWatch = {
    signal,
    onEpoch: (one) => {
      epochs.push(one);
      onEpoch();
      return one.epoch >= stopAt ? "stop" : "go-on";
    },
  };
  try {
    return { outcome: await runner.run(trial, directory, watch), epochs, directory };
  } finally {
    await runner.close();
  }
}

const line = (number: number): string => `${JSON.stringify(epoch(number))}\n`;
const calls = (directory: string): readonly string[] =>
  readFileSync(path.join(directory, "calls.txt"), "utf8").trim().split("\n");

describe("a trial in a process of its own", {
  skip: process.platform === "win32" ? "no signals" : false,
}, () => {
  test("is done when there is a summary; its process gets a share of the threads", async () => {
    const summary = fakeSummary({ basis: 3, l1: 0.3 });
    const { outcome, epochs, directory } = await run({ does: "finish", summary, lines: [line(1), line(2)] });
    assert.equal(outcome.status, "done");
    assert.deepEqual(outcome.status === "done" && outcome.summary, JSON.parse(JSON.stringify(summary)));
    assert.deepEqual(
      epochs.map((one) => [one.stage, one.epoch, one.validation]),
      [1, 2].map((number) => ["retrain", number, epoch(number).validation]),
    );
    const { compress } = JSON.parse(readFileSync(`${directory}.config.json`, "utf8")) as {
      readonly compress: Readonly<Record<string, unknown>>;
    };
    assert.equal(compress.threads, 2);
    // Told again, its result is there.
    assert.equal((await run({ does: "fail" }, { directory })).outcome.status, "done");
    assert.equal(calls(directory).length, 1);
  });

  for (const [does, expected] of [
    ["fail", /^the disk is full\. Free some space$/],
    ["die", /^its process ended unexpectedly: signal SIGKILL; see \d+\.log$/],
    ["lie", /^its process ended unexpectedly: exit status 0; see \d+\.log$/],
  ] as const)
    test(`fails with the reason: ${does}`, async () => {
      const { outcome } = await run({ does });
      assert.equal(outcome.status, "failed");
      assert.match(outcome.status === "failed" ? outcome.reason : "", expected);
    });

  test("is stopped at an epoch, goes on with its own run, and is told its epochs from the first on", async () => {
    const { outcome, epochs, directory } = await run(
      { does: "wait", lines: [line(1), line(2)] },
      { stopAt: 2 },
    );
    assert.equal(outcome.status, "stopped");
    assert.deepEqual(
      epochs.map((one) => one.epoch),
      [1, 2],
    );
    assert.match(readFileSync(`${directory}.log`, "utf8"), /asked to stop/);
    // Held still: it is not even begun.
    assert.equal((await run({ does: "wait" }, { directory, stopAt: 2 })).outcome.status, "stopped");
    assert.equal(calls(directory).length, 1);
    const controller = new AbortController();
    // The line that it writes when it goes on.
    const again = await run(
      { does: "wait" },
      {
        directory,
        signal: controller.signal,
        onEpoch: () =>
          existsSync(path.join(directory, "calls.txt")) &&
          calls(directory).length === 2 &&
          controller.abort(),
      },
    );
    assert.equal(again.outcome.status, "paused");
    assert.deepEqual(
      again.epochs.slice(0, 2).map((one) => one.epoch),
      [1, 2],
    );
    assert.match(calls(directory)[1] ?? "", /^compress --resume /);
  });

  test("is not begun when the sweep is paused already", async () => {
    const { outcome, directory } = await run({ does: "wait" }, { signal: AbortSignal.abort() });
    assert.equal(outcome.status, "paused");
    assert.ok(!existsSync(directory));
  });

  test("reads over lines that are damaged", async () => {
    const { outcome, epochs } = await run({
      does: "finish",
      summary: fakeSummary({ basis: 3, l1: 0.3 }),
      lines: ["{}\n", line(4), '{"stage":'],
    });
    assert.equal(outcome.status, "done");
    assert.deepEqual(
      epochs.map((one) => one.epoch),
      [4],
    );
  });
});
