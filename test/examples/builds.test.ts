import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import sharp from "sharp";
import { parse } from "yaml";
import { float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { penniMain } from "../../support/penni_process.js";
import { colourClassifier, copyExample, placeModel } from "./example.js";

const hasTools = ["make", "cc"].every((tool) => spawnSync(tool, ["--version"]).status === 0);

test("c: frames from a pipe, and a model that changed is compiled again", {
  skip: hasTools ? false : "needs make and a C compiler, which are not here",
}, () => {
  const copy = copyExample("c");
  const classes = (): string => {
    execFileSync(
      "make",
      [`PENNI=${process.execPath} ${penniMain}`, "CFLAGS=-std=c99 -O1 -Wall -Wextra -Werror"],
      {
        cwd: copy,
        stdio: "pipe",
      },
    );
    const frame = (rgb: readonly number[]): Buffer =>
      Buffer.concat(new Array(16 * 16).fill(Buffer.from(rgb)));
    const input = Buffer.concat([frame([250, 9, 9]), frame([9, 9, 250]), frame([9, 250, 9]).subarray(1)]);
    return execFileSync("./frames", { cwd: copy, input, encoding: "utf8" });
  };
  placeModel(copy, "model.onnx", colourClassifier());
  assert.equal(classes(), "frame 0: class 0\nframe 1: class 2\n");
  placeModel(copy, "model.onnx", withScale(colourClassifier(), -10));
  assert.notEqual(classes(), "frame 0: class 0\nframe 1: class 2\n");
});

function withScale(graph: Graph, scale: number): Graph {
  return { ...graph, initializers: new Map([["ten", float32Tensor([1], [scale])]]) };
}

/** The part of a workflow that is used. */
interface Workflow {
  readonly jobs: Readonly<Record<string, { readonly steps: readonly { readonly run?: string }[] }>>;
}

test("budget: the workflow's commands pass a model, and fail one that lost accuracy", async () => {
  const copy = copyExample("budget");
  const git = (...args: readonly string[]): void => {
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd: copy, stdio: "pipe" });
  };
  placeModel(copy, "model.onnx", colourClassifier());
  git("init", "-q");
  git("add", "model.onnx");
  git("commit", "-qm", "before");
  git("update-ref", "refs/remotes/origin/main", "HEAD");
  for (const [name, background] of [
    ["red", "#e02020"],
    ["green", "#20e020"],
    ["blue", "#2020e0"],
  ] as const) {
    const folder = path.join(copy, "test-pictures", name);
    mkdirSync(folder, { recursive: true });
    for (let i = 0; i < 5; i++)
      await sharp({ create: { width: 20, height: 20, channels: 3, background } })
        .png()
        .toFile(path.join(folder, `${i}.png`));
  }
  // What `npx` would run, which is not to ask the registry here.
  const bin = path.join(copy, "bin");
  mkdirSync(bin);
  writeFileSync(path.join(bin, "npx"), `#!/bin/sh\nshift\nexec "${process.execPath}" "${penniMain}" "$@"\n`, {
    mode: 0o755,
  });
  const workflow = parse(readFileSync(path.join(copy, ".github/workflows/model.yml"), "utf8")) as Workflow;
  const commands = Object.values(workflow.jobs)
    .flatMap(({ steps }) => steps.map(({ run }) => run))
    .filter((run) => run !== undefined && !run.startsWith("npm install"));
  assert.equal(commands.length, 2);
  const check = (): { readonly status: number | null; readonly stderr: string } =>
    spawnSync("sh", ["-e", "-c", commands.join("\n")], {
      cwd: copy,
      encoding: "utf8",
      env: { ...process.env, PATH: `${bin}:${process.env.PATH}`, GITHUB_BASE_REF: "main" },
    });
  const kept = check();
  assert.equal(kept.status, 0, kept.stderr);
  placeModel(copy, "model.onnx", withScale(colourClassifier(), -10));
  const broken = check();
  assert.equal(broken.status, 1);
  assert.match(broken.stderr, /over its budget.*0 of the answers right \(top-1\), at least 0\.9/);
});
