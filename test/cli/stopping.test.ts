import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { PenniProcess, penniMain } from "../../support/penni_process.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-stopping-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const model = path.join(folder, "tiny.onnx");
await writeModel(model, tinyCnn());

const LONG = ["--epochs", "10000", "--batch", "16", "--threads", "1", "--checkpoint-seconds", "0.2"];
const commands: Readonly<Record<string, readonly string[]>> = {
  train: ["train", model, "--data", "synthetic:300", ...LONG],
  compress: ["compress", model, "--data", "synthetic:300", "--target-macs", "0.8", ...LONG],
};

const skip = process.platform === "win32" ? "Windows has no signals" : false;

for (const [name, args] of Object.entries(commands)) {
  for (const isGroup of [false, true]) {
    test(`${name}: SIGTERM to ${isGroup ? "all its processes" : "it alone"} leaves a checkpoint, status 143`, {
      skip,
    }, async () => {
      const root = path.join(folder, `${name}-${isGroup}`);
      const running = new PenniProcess([...args, "-o", root]);
      const checkpoints = path.join(root, "checkpoints");
      const hasCheckpoint = (): boolean =>
        existsSync(checkpoints) && readdirSync(checkpoints).some((each) => each.endsWith(".ckpt"));
      assert.ok(await running.until(hasCheckpoint));
      if (isGroup) running.signalGroup("SIGTERM");
      else running.signal("SIGTERM");
      const { status, signal, stderr } = await running.ended;
      assert.deepEqual([status, signal], [143, null], stderr);
      assert.match(stderr, /asked to end: stopping after this step/);
      const last = stderr.trimEnd().split("\n").at(-1) ?? "";
      assert.match(last, /^penni: stopped in stage ".*"; a checkpoint is written/);
      assert.ok(last.endsWith(`Go on with: penni ${name} --resume ${root}`), last);
      assert.ok(hasCheckpoint());
      assert.ok(!readdirSync(root).some((each) => each.endsWith(".lock")));
    });
  }
}

/** Runs a command in a terminal of its own, sends it a signal when it hides the cursor; status and all that it printed. */
const IN_TERMINAL = `
import os, pty, signal, sys
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
printed, sent = b"", False
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    printed += piece
    if b"\\x1b[?25l" in printed and not sent:
        os.kill(child, getattr(signal, sys.argv[1]))
        sent = True
_, status = os.waitpid(child, 0)
sys.stdout.buffer.write(printed)
sys.exit(os.waitstatus_to_exitcode(status) % 256)
`;

const python = spawnSync("python3", ["-c", "import pty"]).status === 0;

test("no signal leaves the cursor hidden, of a bar of any command", {
  skip: skip || (python ? false : "needs python3, which opens the terminal"),
}, () => {
  const evaluation = ["eval", model, "--data", "synthetic:100000", "--batch", "1"];
  const training = [...(commands.train ?? []), "-o", path.join(folder, "shown")];
  for (const [args, signal, expected] of [
    [evaluation, "SIGTERM", 143],
    [evaluation, "SIGINT", 130],
    [training, "SIGTERM", 143],
  ] as const) {
    const { status, stdout } = spawnSync(
      "python3",
      ["-c", IN_TERMINAL, signal, process.execPath, penniMain, ...args],
      { encoding: "utf8" },
    );
    assert.equal(status, expected, stdout);
    assert.ok(stdout.lastIndexOf("\x1b[?25h") > stdout.lastIndexOf("\x1b[?25l"), args[0]);
  }
});

test("a second signal leaves at once, and the run goes on from its last checkpoint", { skip }, async () => {
  const root = path.join(folder, "twice");
  const running = new PenniProcess([...(commands.train ?? []), "-o", root]);
  const checkpoints = path.join(root, "checkpoints");
  const hasCheckpoint = (): boolean =>
    existsSync(checkpoints) && readdirSync(checkpoints).some((each) => each.endsWith(".ckpt"));
  assert.ok(await running.until(hasCheckpoint));
  running.signal("SIGINT");
  running.signal("SIGTERM");
  const { status, stderr } = await running.ended;
  // Whichever came second.
  assert.ok(status === 130 || status === 143, stderr);
  assert.match(stderr, /stopping after this step/);
  assert.doesNotMatch(stderr, /a checkpoint is written/);
  const resumed = new PenniProcess(["train", "--resume", root]);
  assert.ok(await resumed.until(() => resumed.output.includes("train ...")));
  resumed.signal("SIGINT");
  const stopped = await resumed.ended;
  assert.equal(stopped.status, 130, stopped.stderr);
  assert.match(stopped.stderr, /a checkpoint is written/);
});
