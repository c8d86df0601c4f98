import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { projectRoot } from "../../support/shared.js";

/** Everything that Penni can say, as it stands in its sources. */
function sources(): string {
  const folder = path.join(projectRoot, "src");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  return files.map((name) => readFileSync(path.join(folder, name), "utf8")).join("\n");
}

test("every message of docs/troubleshooting.md is one that Penni prints", () => {
  const text = readFileSync(path.join(projectRoot, "docs/troubleshooting.md"), "utf8");
  const messages = [...text.matchAll(/^\| `([^`]+)`/gm)].map(([, message = ""]) => message);
  assert.ok(messages.length > 30);
  const code = sources();
  assert.deepEqual(
    messages.filter((message) => !code.includes(message)),
    [],
  );
});
