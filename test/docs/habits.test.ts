import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { projectRoot } from "../../support/shared.js";

const read = (file: string): string => readFileSync(path.join(projectRoot, file), "utf8");

test(".editorconfig agrees with biome.json", () => {
  const [all = ""] = read(".editorconfig").split("[*.md]");
  const entry = (name: string): string | undefined => new RegExp(`^${name} = (.*)$`, "m").exec(all)?.[1];
  const { formatter } = JSON.parse(read("biome.json")) as {
    readonly formatter: {
      readonly indentStyle: string;
      readonly lineWidth: number;
      /** Biome's own defaults. */
      readonly indentWidth?: number;
      readonly lineEnding?: string;
    };
  };
  assert.equal(entry("indent_style"), formatter.indentStyle);
  assert.equal(entry("indent_size"), `${formatter.indentWidth ?? 2}`);
  assert.equal(entry("max_line_length"), `${formatter.lineWidth}`);
  assert.equal(entry("end_of_line"), formatter.lineEnding ?? "lf");
});

test("the workflow does what .ci/run does, which lints, tests and makes the documentation", () => {
  const steps = [...read(".github/workflows/ci.yml").matchAll(/- run: (.*)/g)].map(([, step]) => step);
  assert.deepEqual(steps, [".ci/run"]);
  const commands = read(".ci/run").match(/^npm .*$/gm);
  assert.deepEqual(commands, ["npm ci", "npm run lint", "npm test", "npm run docs"]);
  assert.match(read("README.md"), /`npm test`/);
});

test("the changelog begins with what this version brings", () => {
  const { version } = JSON.parse(read("package.json")) as { readonly version: string };
  const versions = [...read("CHANGELOG.md").matchAll(/^## (\S+)/gm)].map(([, name]) => name);
  assert.ok(versions.slice(0, 2).includes(version), `${versions}`);
});
