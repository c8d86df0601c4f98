import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { RunLock } from "../../src/run/lock.js";
import { bootIdentity, identify, isRunning } from "../../src/run/processes.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-lock-"));
const children: ChildProcess[] = [];
after(async () => {
  for (const child of children) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

const place = (): Promise<string> => mkdtemp(path.join(folder, "run-"));

/** A process that does nothing until it is killed; its id. */
function idle(): { readonly pid: number; end(): Promise<void> } {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  children.push(child);
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  return {
    pid: child.pid ?? 0,
    end: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

interface Holders {
  readonly owner: object;
  readonly trainer?: object;
  readonly host?: string;
  readonly boot?: string | undefined;
}

/** A lock as another process would have written it. */
async function lockBy(directory: string, holders: Holders, number = 1): Promise<string> {
  const file = path.join(directory, `run-${number}.lock`);
  await writeFile(file, JSON.stringify({ host: hostname(), boot: bootIdentity(), ...holders }));
  return file;
}

async function deadProcess(): Promise<object> {
  const other = idle();
  const identity = identify(other.pid);
  await other.end();
  return identity;
}

test("a locked directory is refused, naming process and host, until it is released", async () => {
  const directory = await place();
  const lock = await RunLock.acquire(directory);
  const message = new RegExp(
    `another run works in this directory: found process ${process.pid} on host ${hostname()}`,
  );
  await assert.rejects(RunLock.acquire(directory), { code: "io", message });
  await assert.rejects(RunLock.checkFree(directory), { code: "io", message });
  await lock.release();
  assert.deepEqual(await readdir(directory), []);
  await RunLock.checkFree(directory);
  await (await RunLock.acquire(directory)).release();
});

test("of many that start at the same moment exactly one gets the directory, also after a kill", async () => {
  for (const isStale of [false, true]) {
    const directory = await place();
    if (isStale) await lockBy(directory, { owner: await deadProcess() }, 7);
    const attempts = await Promise.allSettled(Array.from({ length: 20 }, () => RunLock.acquire(directory)));
    assert.equal(attempts.filter(({ status }) => status === "fulfilled").length, 1);
    assert.equal((await readdir(directory)).length, 1);
  }
});

test("a lock left behind does not block: its process has ended, or never got to write it", async () => {
  const directory = await place();
  await lockBy(directory, { owner: await deadProcess(), trainer: await deadProcess() });
  await (await RunLock.acquire(directory)).release();
  for (const text of ["", '{"host"']) {
    await writeFile(path.join(directory, "run-1.lock"), text);
    await (await RunLock.acquire(directory)).release();
  }
  assert.deepEqual(await readdir(directory), []);
});

test("a lock whose number another process has now, or of another boot, does not block", {
  skip: process.platform !== "linux" && "only Linux tells when a process started",
}, async () => {
  const directory = await place();
  const other = idle();
  await lockBy(directory, { owner: { pid: other.pid, started: "1" } });
  await (await RunLock.acquire(directory)).release();
  await lockBy(directory, { owner: identify(other.pid), boot: "another" });
  await (await RunLock.acquire(directory)).release();
  await lockBy(directory, { owner: identify(other.pid) });
  await assert.rejects(RunLock.acquire(directory), new RegExp(`process ${other.pid} .*kill ${other.pid}`));
});

test("a lock of another host blocks, and the error says how to remove it", async () => {
  const directory = await place();
  const file = await lockBy(directory, { owner: { pid: 1 }, host: "elsewhere" });
  await assert.rejects(RunLock.acquire(directory), {
    code: "io",
    message: new RegExp(`process 1 on host elsewhere.*delete ${file}`),
  });
});

test("the trainer of a killed run is waited for", async () => {
  const directory = await place();
  const trainer = idle();
  await lockBy(directory, { owner: await deadProcess(), trainer: identify(trainer.pid) });
  const notices: string[] = [];
  const acquired = RunLock.acquire(directory, (text) => notices.push(text));
  let hasEnded = false;
  const ended = new Promise((resolve) => setTimeout(resolve, 200))
    .then(() => {
      hasEnded = true;
    })
    .then(() => trainer.end());
  const lock = await acquired;
  assert.ok(hasEnded);
  await ended;
  assert.match(notices.join("\n"), new RegExp(`^waiting for process ${trainer.pid}`));
  await lock.release();
});

test("a lock says which training process it covers", async () => {
  const directory = await place();
  const lock = await RunLock.acquire(directory);
  const trainer = idle();
  await lock.cover(trainer.pid);
  const written = JSON.parse(await readFile(path.join(directory, "run-1.lock"), "utf8"));
  assert.deepEqual(written.trainer, JSON.parse(JSON.stringify(identify(trainer.pid))));
  assert.equal(written.owner.pid, process.pid);
  await lock.release();
});

test("a process that has ended but was not collected by its parent does not run", {
  skip: process.platform !== "linux" && "needs /proc",
}, async () => {
  // The shell starts a process that ends soon and, being replaced by sleep, never collects it.
  const shell = spawn("/bin/sh", ["-c", "sleep 0.1 & echo $!; exec sleep 100"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  children.push(shell);
  const pid = await new Promise<number>((resolve) =>
    shell.stdout.once("data", (text: Buffer) => resolve(Number(text.toString()))),
  );
  while ((await readFile(`/proc/${pid}/stat`, "utf8")).includes(") Z ") === false)
    await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(isRunning({ pid }), false);
  assert.equal(isRunning(identify(process.pid)), true);
});
