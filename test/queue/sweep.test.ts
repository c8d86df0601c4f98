import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { penni } from "../../support/command_line.js";
import { PenniProcess } from "../../support/penni_process.js";
import { TestRedis, withoutRedis } from "../../support/redis_server.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-queue-sweep-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (...names: readonly string[]): string => path.join(folder, ...names);

await writeModel(file("tiny.onnx"), tinyCnn());
writeFileSync(
  file("sweep.json"),
  JSON.stringify({
    base: {
      model: "tiny.onnx",
      data: "synthetic:200",
      targetMacs: 0.8,
      fineTuneEpochs: 0,
      batch: 16,
      threads: 1,
    },
    axes: { epochs: [0, 1] },
  }),
);

interface Point {
  readonly number: number;
  readonly status: string;
}

const trialsOf = (out: string): readonly Point[] =>
  (JSON.parse(readFileSync(file(out, "results.json"), "utf8")) as { readonly trials: readonly Point[] })
    .trials;

test("penni sweep computes on the workers of a queue what it computes alone", {
  skip: withoutRedis,
}, async () => {
  const redis = await TestRedis.later();
  const address = ["--queue", redis.url, "--store", file("store")];
  const workers: PenniProcess[] = [];
  try {
    const start = async (words: readonly string[]): Promise<PenniProcess> => {
      const started = new PenniProcess([...words, ...address]);
      assert.ok(
        await started.until(() =>
          /\d\/0 is not there yet \(.*ECONNREFUSED.*\): waiting/.test(started.output),
        ),
        started.output,
      );
      return started;
    };
    const worker = async (name: string): Promise<PenniProcess> => {
      const started = await start(["worker", "--name", name]);
      workers.push(started);
      return started;
    };
    // Each before Redis is there, and the first one before there is a store: the sweep makes it.
    const first = await worker("first");
    await redis.up();
    assert.ok(await first.until(() => /store is no store yet: waiting/.test(first.output)), first.output);
    await redis.down();
    const [sweep] = await Promise.all([
      start(["sweep", file("sweep.json"), "-o", file("shared")]),
      worker("second"),
    ]);
    assert.ok(!existsSync(file("shared")));
    await redis.up();
    const alone = await new PenniProcess(["sweep", file("sweep.json"), "-o", file("alone"), "--jobs", "2"])
      .ended;
    const shared = await sweep.ended;
    assert.equal(shared.status, 0, shared.stderr);
    assert.match(shared.stdout, /epochs/);
    for (const { output } of [sweep, first]) assert.match(output, /\d\/0 is there$/m);
    assert.equal(alone.status, 0, alone.stderr);
    assert.deepEqual(
      trialsOf("shared").map(({ number, status }) => [number, status]),
      trialsOf("alone").map(({ number, status }) => [number, status]),
    );
    for (const trial of ["000", "001"])
      assert.deepEqual(
        readFileSync(file("shared", "trials", trial, "model.onnx")),
        readFileSync(file("alone", "trials", trial, "model.onnx")),
        trial,
      );
  } finally {
    for (const worker of workers) worker.signal("SIGTERM");
    const ends = await Promise.all(workers.map(({ ended }) => ended));
    await redis.end();
    for (const { status, stderr } of ends)
      assert.ok(status === 0 || status === 143 || status === 130, stderr);
  }
});

test("a queue that is not whole, or not there, is refused and leaves no directory", async () => {
  const sweep = ["sweep", file("sweep.json"), "-o", file("refused")];
  for (const [words, reason] of [
    [["--queue", "redis://localhost:1/0"], /--store DIR/],
    [["--store", file("other")], /where the queue is, is not given/],
    [["--queue", "http://localhost", "--store", file("other")], /not the address of a queue/],
    [["--wait", "1"], /--wait has nothing to say here/],
    [
      ["--queue", "redis://:secret@127.0.0.1:1/0", "--store", file("other"), "--wait", "0.1"],
      /127\.0\.0\.1:1\/0: the queue cannot be reached after 0\.1 s/,
    ],
  ] as const) {
    const { status, stderr } = await penni([...sweep, ...words]);
    assert.equal(status, 1);
    assert.match(stderr, reason);
    assert.doesNotMatch(stderr, /secret/);
    assert.ok(!existsSync(file("refused")));
  }
});
