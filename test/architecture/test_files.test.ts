import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { projectRoot } from "../../support/shared.js";
import { sourceFiles } from "../../support/source_imports.js";

/** Top-level lines with an `await` behind the first test of a file. */
function lateAwaits(code: string): readonly string[] {
  const lines = code.split("\n");
  const first = lines.findIndex((line) => /^ *(?:test|describe)\(/.test(line));
  return lines.filter(
    (line, at) => first >= 0 && at > first && /^(?:await |for await |const [^`]*= await )/.test(line),
  );
}

// Node.js runs the tests that it knows while a file waits. If all of them are skipped, as without ../shared, it is done with the
// file, runs its `after`, which removes the folder, and the rest of the file fails.
test("no test file waits for anything once it has declared a test", () => {
  const files = sourceFiles(["test", "bench"]).filter((name) => name.endsWith(".test.ts"));
  const found = files.flatMap((name) =>
    lateAwaits(readFileSync(path.join(projectRoot, name), "utf8")).map((line) => `${name}: ${line}`),
  );
  assert.deepEqual(found, []);
});

test("a wait behind a test is found, one before it and one within it are not", () => {
  const early = 'const folder = await mkdtemp("x");\ntest("a", async () => {\n  await work();\n});\n';
  assert.deepEqual(lateAwaits(early), []);
  assert.deepEqual(lateAwaits(`${early}await more();\nconst b = await run();\n`), [
    "await more();",
    "const b = await run();",
  ]);
});
