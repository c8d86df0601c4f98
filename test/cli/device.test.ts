import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { resolveDevice } from "../../src/execute/resolve.js";
import { writeModel } from "../../src/files/model_files.js";
import { PenniError } from "../../src/graph/errors.js";
import { RunDirectory } from "../../src/run/directory.js";
import { PenniProcess } from "../../support/penni_process.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-device-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const model = path.join(folder, "tiny.onnx");
await writeModel(model, tinyCnn());

const penni = (...args: readonly string[]) => new PenniProcess(args).ended;
const data = ["--data", "synthetic"];

test("a device that there is none of is an error that names all there are", async () => {
  for (const command of [
    ["compress", model, "-o", path.join(folder, "none")],
    ["eval", model],
  ]) {
    const { status, stdout, stderr } = await penni(...command, ...data, "--device", "gpu");
    assert.deepEqual([status, stdout], [1, ""]);
    assert.match(stderr, /^penni: option '--device <name>' .*cpu, webgpu, cuda, auto.*\n$/);
  }
});

test("a device that does not exist is one line with one full stop", async () => {
  const out = path.join(folder, "tpu");
  const { status, stderr } = await penni("compress", model, ...data, "-o", out, "--device", "tpu");
  assert.equal(status, 1);
  assert.match(stderr, /Allowed choices are cpu, webgpu, cuda, auto\. See penni compress --help$/m);
});

test("a device that is not usable is an error before anything is written", async (t) => {
  const unusable = await resolveDevice("cuda").catch((error: unknown) => error);
  if (!(unusable instanceof PenniError)) return t.skip("CUDA is usable here");
  const out = path.join(folder, "cuda");
  const { status, stderr } = await penni("compress", model, ...data, "-o", out, "--device", "cuda");
  assert.deepEqual([status, stderr], [1, `penni: ${unusable.message}\n`]);
  assert.ok(!existsSync(out));
});

test("eval and training take the device that auto finds", async () => {
  const evaluated = await penni("eval", model, ...data, "--limit", "20", "--device", "auto", "--json");
  assert.equal(evaluated.status, 0, evaluated.stderr);
  assert.equal(JSON.parse(evaluated.stdout).total, 20);
});

test("a run keeps the device that it was asked for, and resumes on another one", async () => {
  const out = path.join(folder, "run");
  const short = ["--epochs", "0", "--fine-tune-epochs", "0.25", "--train-limit", "64", "--batch", "16"];
  const settings = [...short, "--target-macs", "0.8", "--threads", "1"];
  const started = await penni("compress", model, ...data, ...settings, "-o", out, "--device", "auto");
  assert.equal(started.status, 0, started.stderr);
  const { provider, reason } = await resolveDevice("auto");
  assert.ok(started.stderr.includes(`training on ${provider}: ${reason}`), started.stderr);
  assert.equal((await RunDirectory.open(out)).config.settings.device, "auto");
  assert.equal((await RunDirectory.open(out, "cpu")).config.settings.device, "cpu");
  const resumed = await penni("compress", "--resume", out, "--device", "cpu");
  assert.equal(resumed.status, 0, resumed.stderr);
});
