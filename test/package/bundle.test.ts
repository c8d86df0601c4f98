import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { targetNames } from "../../src/compile/backends.js";
import { encodeModel } from "../../src/onnx/write.js";
import { withoutCompiler } from "../../support/addon.js";
import { projectRoot } from "../../support/shared.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

/** The code that is published does what the modules do: what the bundler changes is code, never a text. */
const run = promisify(execFile);
const folder = await mkdtemp(path.join(tmpdir(), "penni-bundle-"));
after(() => rm(folder, { recursive: true, force: true }));

const model = path.join(folder, "net.onnx");
await writeFile(model, encodeModel(tinyCnn()));

/** Texts of what `penni compile --example` writes, by the name of the file. */
async function written(program: string, target: string): Promise<ReadonlyMap<string, string>> {
  const out = await mkdtemp(path.join(folder, "out-"));
  const args = ["compile", model, "--target", target, "--example", "--quiet", "-o", out];
  await run(process.execPath, [path.join(projectRoot, "dist", program), ...args]);
  const names = (await readdir(out)).filter((name) => !name.endsWith(".node")).sort();
  return new Map(
    await Promise.all(
      names.map(async (name) => [name, await readFile(path.join(out, name), "latin1")] as const),
    ),
  );
}

for (const target of targetNames) {
  const skip = target === "node" ? withoutCompiler : false;
  test(`the published code writes for ${target} what the modules write`, { skip }, async () => {
    const [published, ours] = await Promise.all([
      written("package/main.js", target),
      written("src/cli/main.js", target),
    ]);
    assert.deepEqual([...published.keys()], [...ours.keys()]);
    for (const [name, text] of published) assert.equal(text, ours.get(name), name);
  });
}
