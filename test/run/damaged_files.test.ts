import assert from "node:assert/strict";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { PenniError } from "../../src/graph/errors.js";
import { presets, type Settings } from "../../src/run/config.js";
import { RunDirectory } from "../../src/run/directory.js";
import { compress } from "../../src/run/pipeline.js";
import { prepareRun } from "../../src/run/prepare.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-damaged-files-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const { retrain, fineTune } = presets.fast;
const settings: Settings = {
  ...presets.fast,
  retrain: { ...retrain, epochs: 1 },
  fineTune: { ...fineTune, epochs: 8 },
  prune: { rule: "macs", fraction: 0.8 },
  batch: 16,
  threads: 1,
  checkpointSeconds: 0.01,
};

/** What going on came to: an error, or all notices. */
interface Outcome {
  readonly error?: unknown;
  readonly notices: readonly string[];
}

/** Goes on until a stage begins. */
async function goOnUntil(last: string, root: string): Promise<Outcome> {
  const controller = new AbortController();
  const notices: string[] = [];
  const stage = (name: string): void => {
    if (name === last) controller.abort();
  };
  const notice = (text: string): void => {
    notices.push(text);
  };
  try {
    await compress(await RunDirectory.open(root), { stage, notice }, controller.signal);
    return { notices };
  } catch (error) {
    const isStopped = error instanceof PenniError && error.code === "interrupted";
    return isStopped ? { notices } : { error, notices };
  }
}

/** A run that was stopped in its last training, with two checkpoints of that. */
const whole = path.join(folder, "whole");
{
  const model = path.join(folder, "tiny.onnx");
  await writeModel(model, tinyCnn());
  await prepareRun({ model, data: "synthetic:80", out: whole, preset: "fast", seed: 1, settings });
  const controller = new AbortController();
  const epoch = ({ stage }: { readonly stage: string }): void => {
    if (stage === "fine-tune") controller.abort();
  };
  await assert.rejects(compress(await RunDirectory.open(whole), { epoch }, controller.signal), {
    code: "interrupted",
  });
}

const filesOf = (root: string): readonly string[] =>
  readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(path.join(root, name)).isFile())
    .sort();

const damages = {
  removed: (file: string) => rmSync(file),
  directory: (file: string) => {
    rmSync(file);
    mkdirSync(path.join(file, "full"), { recursive: true });
  },
  truncated: (file: string) => truncateSync(file, Math.floor(statSync(file).size / 2)),
  flipped: (file: string) => {
    const bytes = readFileSync(file);
    const at = Math.floor(0.6 * bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    writeFileSync(file, bytes);
  },
} as const;

type Damage = keyof typeof damages;

/** Files of a run, how they are damaged, how far the run goes on, and what is said: errors, or a notice where it says so. */
const cases: readonly (readonly [name: string, Damage, said: RegExp, until?: string])[] = [
  ["checkpoints/fine-tune.ckpt", "flipped", /^notice .*going on from the checkpoint before it/, "shrink"],
  ["checkpoints/fine-tune.ckpt", "removed", /^$/, "shrink"],
  ["checkpoints/fine-tune.ckpt", "directory", /fine-tune\.ckpt: cannot read a file of the run/, "shrink"],
  ["checkpoints/fine-tune.previous.ckpt", "directory", /fine-tune\.previous\.ckpt: cannot write/, "shrink"],
  ["checkpoints/retrain.onnx", "truncated", /^$/, "fine-tune"],
  ["config.json", "truncated", /config\.json: the run's configuration cannot be read/],
  ["config.json", "directory", /config\.json: cannot read the file: found EISDIR/],
  ["metrics.jsonl", "directory", /metrics\.jsonl: cannot read the file: found EISDIR/],
  ["metrics.jsonl", "flipped", /^$/, "shrink"],
  ["timing.jsonl", "directory", /timing\.jsonl: cannot read the file: found EISDIR/],
  ["stages/SHA256SUMS", "truncated", /^$/],
  ["stages/SHA256SUMS", "directory", /SHA256SUMS: cannot read the file/],
  ["stages/original.onnx", "removed", /original\.onnx: the network that the run was started with is gone/],
  [
    "stages/original.onnx",
    "flipped",
    /original\.onnx: the network that the run was started with has changed/,
  ],
  [
    "stages/original.onnx",
    "truncated",
    /original\.onnx: the network that the run was started with has changed/,
  ],
  ["stages/decompose.onnx", "flipped", /^notice .*decompose\.onnx is damaged: the stage is done again/],
  ["stages/normalize.onnx", "truncated", /^notice .*normalize\.onnx is damaged: the stage is done again/],
  ["stages/retrain.onnx", "flipped", /^notice .*retrain\.onnx is damaged: the stage is done again/],
  ["stages/prune.onnx", "directory", /prune\.onnx: cannot read the file/],
  ["stages/simplify.onnx", "removed", /^$/],
];

for (const [name, damage, said, until = "fine-tune"] of cases) {
  test(`a run with ${name} ${damage}`, async () => {
    const root = path.join(folder, "copy");
    rmSync(root, { recursive: true, force: true });
    cpSync(whole, root, { recursive: true });
    const others = filesOf(root).filter((other) => other !== name);
    damages[damage](path.join(root, name));
    const { error, notices } = await goOnUntil(until, root);
    assert.ok(error === undefined || (error instanceof PenniError && error.code !== "internal"), `${error}`);
    const texts = notices.filter((text) => /damaged/.test(text)).map((text) => `notice ${text}`);
    assert.match(error === undefined ? texts.join("\n") : error.message, said);
    // What is whole stays, for whoever mends the rest; what is made again is what it was.
    const left = filesOf(root);
    for (const other of others) assert.ok(left.includes(other), other);
    if (error === undefined && name.startsWith("stages/") && name.endsWith(".onnx"))
      assert.deepEqual(readFileSync(path.join(root, name)), readFileSync(path.join(whole, name)));
  });
}

test("half a line at the end of a file of lines goes before the next is written", async () => {
  const root = path.join(folder, "half");
  cpSync(whole, root, { recursive: true });
  for (const name of ["metrics.jsonl", "timing.jsonl"]) {
    const file = path.join(root, name);
    truncateSync(file, statSync(file).size - 5);
  }
  const { error } = await goOnUntil("shrink", root);
  assert.equal(error, undefined);
  for (const name of ["metrics.jsonl", "timing.jsonl"]) {
    const text = readFileSync(path.join(root, name), "utf8");
    assert.ok(text.endsWith("\n"));
    for (const line of text.trimEnd().split("\n")) assert.equal(typeof JSON.parse(line), "object", name);
  }
});
