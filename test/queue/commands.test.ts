import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { queueAddress } from "../../src/queue/address.js";
import { administer } from "../../src/queue/administration.js";
import { DirectoryStore } from "../../src/queue/directory_store.js";
import { openQueueRunner } from "../../src/queue/queue_runner.js";
import { penni } from "../../support/command_line.js";
import { TrialMaker, WatchedEpochs } from "../../support/queue.js";
import { TestRedis, withoutRedis } from "../../support/redis_server.js";
import { projectRoot } from "../../support/shared.js";
import { until } from "../../support/until.js";

const main = path.join(projectRoot, "dist/src/cli/main.js");

const folder = mkdtempSync(path.join(tmpdir(), "penni-worker-test-"));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Said {
  status: number | null;
  text: string;
}

/** A `penni` command of its own, in whose environment the queue is. */
function start(words: readonly string[], queue: string, more: NodeJS.ProcessEnv = {}) {
  const child: ChildProcess = spawn(process.execPath, [main, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PENNI_QUEUE: queue, ...more },
  });
  const said: Said = { status: null, text: "" };
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => {
      said.text += chunk.toString();
    });
  const ended = new Promise<Said>((resolve) => {
    child.on("close", (status) => resolve({ ...said, status }));
  });
  return { child, said, ended };
}

const password = "s3cret-päss/word";

/** All files below some folders. */
function filesIn(...roots: readonly string[]): readonly string[] {
  return roots.flatMap((root) =>
    readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name)),
  );
}

// Each with a database of its own: most of their time is waiting for processes to start.
describe("penni worker", { skip: withoutRedis, concurrency: 4 }, () => {
  const store = path.join(folder, "store");
  const maker = new TrialMaker(path.join(folder, "sweep"));
  let redis: TestRedis;

  before(async () => {
    redis = await TestRedis.start({ password });
    await maker.prepare();
    await DirectoryStore.create(store);
  });
  after(() => redis.end());

  test("kill -9 in the middle of a trial: it goes on elsewhere, to the same model as undisturbed", async () => {
    const url = redis.database(1);
    const work = path.join(folder, "work");
    const worker = (name: string) =>
      start(
        ["worker", "--store", store, "--work", work, "--name", name].concat([
          ...["--lost-after", "2", "--checkpoint-every", "0.1"],
        ]),
        url,
      );
    const plain = path.join(folder, "plain");
    const direct = start(
      [
        ...["compress", maker.model, "--data", "synthetic:200", "-o", plain, "--checkpoint-seconds=0.05"],
        ...["--target-macs=0.8", "--threads=1", "--batch=16", "--epochs=8", "--fine-tune-epochs=2"],
      ],
      "",
    );
    const trial = maker.real({
      targetMacs: 0.8,
      threads: 1,
      batch: 16,
      epochs: 8,
      fineTuneEpochs: 2,
      checkpointSeconds: 0.05,
    });
    const runner = await openQueueRunner({ url, store, lookMs: 200 });
    const first = worker("first");
    const watch = new WatchedEpochs();
    const outcome = runner.run(trial, maker.directory(trial), watch);
    const checkpoint = path.join(store, "trials", trial.id, "checkpoint");
    await until(
      () => existsSync(checkpoint) && watch.epochs.length > 0,
      () => first.said.text,
    );
    assert.ok(!existsSync(path.join(store, "trials", trial.id, "result")));
    const [child = ""] = readFileSync(
      `/proc/${first.child.pid}/task/${first.child.pid}/children`,
      "utf8",
    ).split(" ");
    first.child.kill("SIGKILL");
    await first.ended;
    // Nobody goes on with a trial whose worker is gone.
    await until(
      () => child === "" || !existsSync(`/proc/${child}`),
      () => "the trial's process lives on",
    );
    const second = worker("second");
    const ended = await outcome;
    assert.equal(ended.status, "done", JSON.stringify(ended));
    assert.equal(ended.status === "done" ? ended.provenance.worker : "", "second", second.said.text);
    second.child.kill("SIGTERM");
    assert.equal((await second.ended).status, 143);
    // Also what the first one has left behind.
    assert.deepEqual(readdirSync(work), []);
    await runner.close();
    const files = filesIn(store, maker.directory(trial));
    assert.ok(files.length > 10);
    assert.deepEqual(
      files.filter((file) => readFileSync(file, "latin1").includes("s3cret")),
      [],
    );
    for (const { said } of [first, second]) assert.doesNotMatch(said.text, /s3cret/);

    assert.equal((await direct.ended).status, 0, direct.said.text);
    for (const name of ["stages/shrink.onnx", "metrics.jsonl", "model.onnx"])
      assert.deepEqual(
        readFileSync(path.join(maker.directory(trial), name)),
        readFileSync(path.join(plain, name)),
        name,
      );
  });

  test("a worker that is asked to end while Redis is away ends", async () => {
    const server = await TestRedis.start();
    const { child, said, ended } = start(["worker", "--store", store, "--name", "waiting"], server.url);
    const { url } = server;
    await until(
      async () => (await administer("status", queueAddress(url))).workers.includes("waiting"),
      () => said.text,
    );
    await server.down();
    await until(
      () => /is away/.test(said.text),
      () => said.text,
    );
    child.kill("SIGTERM");
    const { status, text } = await ended;
    await server.end();
    assert.equal(status, 143, text);
    assert.doesNotMatch(text, /unexpected error/);
  });

  test("a full disk: the trial fails with the reason, after a stated number of attempts", async () => {
    const url = redis.database(2);
    const trial = maker.real({ targetMacs: 0.8, threads: 1, seed: 7 });
    const runner = await openQueueRunner({ url, store, lookMs: 200, backoffMs: 50, attempts: 2 });
    const outcome = runner.run(trial, maker.directory(trial), new WatchedEpochs());
    // In steps of 512 bytes, as where no more is left.
    const words = ["worker", "--store", store, "--work", path.join(folder, "full"), "--lost-after", "2"];
    const child = spawn("/bin/sh", ["-c", 'ulimit -f 8; exec "$@"', "sh", process.execPath, main, ...words], {
      stdio: "ignore",
      env: { ...process.env, PENNI_QUEUE: url },
    });
    const ended = await outcome;
    child.kill("SIGTERM");
    assert.equal(ended.status, "failed", JSON.stringify(ended));
    if (ended.status !== "failed") return;
    assert.match(ended.reason, /cannot write the file.*EFBIG/);
    assert.equal(ended.attempts, 2);
    await runner.close();
  });

  test("says what it lacks, in one line", async () => {
    const nobody = "redis://127.0.0.1:1/0";
    const away = /redis:\/\/127\.0\.0\.1:1\/0: the queue cannot be reached/;
    const inStore = ["worker", "--store", store];
    const cases: readonly (readonly [readonly string[], string | undefined, RegExp])[] = [
      [["worker"], redis.url, /where the store is, is not given/],
      [
        ["worker", "--store", path.join(folder, "later"), "--wait", "0.2"],
        redis.url,
        /no store of Penni in this directory after 0\.\d+ s/,
      ],
      [inStore, undefined, /where the queue is, is not given.*PENNI_QUEUE/],
      [[...inStore, "--wait", "0.2"], nobody, new RegExp(`${away.source} after 0\\.\\d+ s`)],
      [[...inStore, "--once"], nobody, new RegExp(`${away.source}: found`)],
      [["queue", "status"], nobody, new RegExp(`${away.source}: found`)],
    ];
    for (const [words, queue, message] of cases) {
      const { status, stderr } = await penni([...words, ...(queue === undefined ? [] : ["--queue", queue])]);
      assert.equal(status, 1, stderr);
      assert.match(stderr.trimEnd().split("\n").at(-1) ?? "", message);
      assert.doesNotMatch(stderr, /unexpected error/);
    }
  });

  test("a store that it cannot write to is said at once, and no trial fails of it", async () => {
    // As where it is mounted to be read only.
    const child = spawn(
      "/bin/sh",
      ["-c", 'ulimit -f 0; exec "$@"', "sh", process.execPath, main, "worker", "--store", store],
      { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, PENNI_QUEUE: redis.url } },
    );
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    const status = await new Promise((resolve) => child.on("close", resolve));
    assert.equal(status, 1, said);
    assert.match(said, /cannot write to the store.*EFBIG/);
    assert.doesNotMatch(said, /trial/);
  });

  test("without its packages it says how to install them", async () => {
    const missing = `export function resolve(name, context, next) {
      if (name === "bullmq" || name === "ioredis")
        throw Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
      return next(name, context);
    }`;
    const url = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
    const register = `import { register } from "node:module"; register(${JSON.stringify(url(missing))});`;
    const { ended } = start(["queue", "status"], redis.url, { NODE_OPTIONS: `--import=${url(register)}` });
    const { status, text } = await ended;
    assert.equal(status, 1, text);
    assert.match(
      text,
      /the package ioredis, which queues need, is not installed.*npm install bullmq ioredis/,
    );
  });

  test("--once ends where nothing waits", async () => {
    const { status, stderr } = await penni(["worker", "--store", store, "--once", "--queue", redis.url]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /0 trials done/);
  });

  test("a wrong or missing password is said without it, the right one lets in and is not shown", async () => {
    const right = start(["queue", "status", "--json"], redis.url);
    const refused = async (words: readonly string[], queue: string, message: RegExp): Promise<void> => {
      const { status, text } = await start([...words, "--verbose"], queue).ended;
      assert.equal(status, 1);
      assert.match(text, message);
      assert.doesNotMatch(text, /s3cret/);
    };
    const wrong = redis.url.replace("s3cret", "s3cret-other");
    await Promise.all([
      refused(["queue", "status"], redis.url.replace(/\/\/.*@/, "//"), /does not let us in.*NOAUTH/),
      // However long it would wait for a queue.
      refused(["worker", "--store", store], wrong, /does not let us in.*WRONGPASS/),
    ]);
    const { status, text } = await right.ended;
    assert.equal(status, 0, text);
    assert.equal(JSON.parse(text).queue, `redis://127.0.0.1:${redis.port}/0`);
    assert.doesNotMatch(text, /s3cret/);
  });

  test("rediss:// with a certificate that Node.js is told of", async (context) => {
    const cert = path.join(folder, "cert.pem");
    const key = path.join(folder, "key.pem");
    const made = spawnSync("openssl", [
      ...[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
      ],
      ...["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
    ]);
    if (made.status !== 0) return context.skip("needs openssl");
    const server = await TestRedis.start({ password, tls: { cert, key } }).catch(() => undefined);
    if (server === undefined) return context.skip("this redis-server speaks no TLS");
    try {
      const [trusted, unknown] = await Promise.all(
        [{ NODE_EXTRA_CA_CERTS: cert }, {}].map((more) => start(["queue", "status"], server.url, more).ended),
      );
      assert.ok(trusted !== undefined && unknown !== undefined);
      assert.equal(trusted.status, 0, trusted.text);
      assert.match(trusted.text, /^rediss:\/\/127\.0\.0\.1:\d+\/0: Redis/);
      assert.equal(unknown.status, 1);
      assert.match(unknown.text, /cannot be reached.*certificate/);
      assert.doesNotMatch(unknown.text, /s3cret/);
    } finally {
      await server.end();
    }
  });
});
