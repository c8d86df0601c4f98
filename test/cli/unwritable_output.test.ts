import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { SIZE, tinyRegressor, writeImages } from "../../support/label_free.js";
import { penniMain } from "../../support/penni_process.js";
import { smallNetwork } from "../../support/small_models.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-unwritable-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const model = path.join(folder, "model.onnx");
await writeModel(model, smallNetwork());
const regressor = path.join(folder, "regressor.onnx");
await writeModel(regressor, tinyRegressor());
const images = path.join(folder, "images");
await writeImages(images, 24);
const data = ["--data", `images:${images}`, "--image-size", `${SIZE}x${SIZE}`];

let outputs = 0;
const newPlace = (): string => path.join(folder, `out-${outputs++}`);

/** A short run with every stage, in training processes as always. */
const compress = (out: string): string[] => [
  ...["compress", regressor, "--data", `images:${images}`, "-o", out, "--loss", "distill", "--basis", "4"],
  ...["--epochs", "0.5", "--fine-tune-epochs", "0.5", "--batch", "8", "--threads", "1"],
];

const commands: Readonly<Record<string, () => readonly string[]>> = {
  "--help": () => ["--help"],
  inspect: () => ["inspect", model],
  "inspect --shrink --json": () => ["inspect", model, "--shrink", "--json"],
  compile: () => ["compile", model, "--target", "c", "-o", newPlace()],
  "bench --layers": () => ["bench", model, "--layers"],
  sensitivity: () => [
    "sensitivity",
    regressor,
    ...data,
    "--images",
    "4",
    "--ranks",
    "4",
    "--sparsity",
    "0.5",
  ],
  "compress --plan": () => [...compress(newPlace()), "--plan"],
  compress: () => compress(newPlace()),
};

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command line in a shell, behind which redirections stand. */
function shell(args: readonly string[], redirections: string): Ended {
  const line = `exec "$0" "$@" ${redirections}`;
  const { status, stdout, stderr } = spawnSync("bash", ["-c", line, process.execPath, penniMain, ...args], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

const skip = existsSync("/dev/full") && existsSync("/bin/bash") ? false : "needs /dev/full and bash";

for (const [name, args] of Object.entries(commands)) {
  test(`${name}: a result that cannot be printed is one error and status 1`, { skip }, () => {
    const { status, stderr } = shell(args(), ">/dev/full");
    assert.equal(status, 1);
    const errors = stderr.split("\n").filter((line) => line.startsWith("penni: "));
    assert.deepEqual(errors, [
      "penni: standard output: not everything could be printed: found ENOSPC. The disk is full: free some space and run again",
    ]);
    assert.doesNotMatch(stderr, /\n\s+at |node:/);
  });

  // Runs take long: one for each kind of failure.
  const isLong = name === "compress";

  test(`${name}: progress and errors that cannot be printed change nothing`, { skip }, () => {
    for (const redirection of isLong ? ["2>/dev/full"] : ["2>/dev/full", "2>&-", "2> >(true)"]) {
      const { status, stdout } = shell(args(), redirection);
      assert.equal(status, 0, redirection);
      assert.ok(stdout.length > 100, redirection);
    }
  });

  test(`${name}: a reader that has seen enough is no error`, { skip }, () => {
    for (const redirection of isLong ? [">&-"] : ["> >(head -c 1 >/dev/null)", ">&-"]) {
      const { status, stderr } = shell(args(), redirection);
      assert.equal(status, 0, `${redirection}: ${stderr}`);
      assert.doesNotMatch(stderr, /penni: |\n\s+at /);
    }
  });
}

test("an error that cannot be printed keeps its status", { skip }, () => {
  for (const redirection of ["2>/dev/full", "2>&-", ">/dev/full 2>&1"]) {
    assert.equal(shell(["inspect", "none.onnx"], redirection).status, 1);
  }
});

test("a file that becomes too large for its result: an error, not a part of it", { skip }, () => {
  const file = path.join(folder, "cut.json");
  const line = `ulimit -f 1; exec "$0" "$@" > ${file}`;
  const { status, stderr } = spawnSync(
    "bash",
    ["-c", line, process.execPath, penniMain, "inspect", model, "--json"],
    { encoding: "utf8" },
  );
  assert.ok(statSync(file).size <= 1024);
  assert.equal(status, 1);
  assert.match(stderr, /^penni: standard output: not everything could be printed: found EFBIG\./);
});

const python = spawnSync("python3", ["-c", "import pty"]).status === 0;

/** Starts a command in a terminal of its own, closes that at the first line, and gives how the command ended. */
const CLOSES_TERMINAL = `
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
os.read(terminal, 1)
os.close(terminal)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status) if os.waitstatus_to_exitcode(status) >= 0 else 99)
`;

test("a run goes on when its terminal is closed", {
  skip: python ? skip : "needs python3, which opens the terminal",
}, () => {
  const out = newPlace();
  const result = path.join(out, "model.onnx");
  const args = ["-c", CLOSES_TERMINAL, process.execPath, penniMain, ...compress(out)];
  const { status } = spawnSync("python3", args);
  // The result is there, and that it could not be printed is an error.
  assert.equal(status, 1);
  assert.ok(readFileSync(result).length > 0);
});
