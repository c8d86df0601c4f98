// Runs every compiled test file with Node's own runner and ends with the line "N passed, N failed, N skipped".
import { readdirSync } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { run } from "node:test";
import { spec as Spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const given = process.argv.slice(2);
const wanted = given.filter((part) => part !== "--packaged");
// The command line is tested as it is published, or else as it was just compiled.
if (given.length > wanted.length) process.env.PENNI_TEST_MAIN = "package/main.js";
// Tests of what a benchmark is made of stand beside it.
const files = ["test", "bench"]
  .flatMap((folder) =>
    readdirSync(path.join(root, "dist", folder), { recursive: true }).map((file) => `${folder}/${file}`),
  )
  .filter((file) => file.endsWith(".test.js"))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort()
  .map((file) => path.join(root, "dist", file));

const counts = { passed: 0, failed: 0, skipped: 0 };
const stream = run({ files, concurrency: 2, timeout: 600_000 });
const isSuite = (event) => event.details?.type === "suite";
const isFile = (event) => files.includes(event.name);
stream.on("test:pass", (event) => {
  if (isSuite(event) || isFile(event)) return;
  if (event.skip !== undefined || event.todo !== undefined) counts.skipped += 1;
  else counts.passed += 1;
});
stream.on("test:fail", (event) => {
  if (!isSuite(event)) counts.failed += 1;
});
await pipeline(stream, new Spec(), process.stdout, { end: false });
if (files.length === 0 || counts.passed === 0) counts.failed += 1;
process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
process.exitCode = counts.failed === 0 ? 0 : 1;
