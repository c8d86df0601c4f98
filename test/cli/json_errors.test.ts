import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { createProgram } from "../../src/cli/program.js";
import { Output } from "../../src/cli/terminal.js";
import { writeModel } from "../../src/files/model_files.js";
import { penni } from "../../support/command_line.js";
import { smallNetwork } from "../../support/small_models.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-json-errors-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const output = new Output(process.stdout, "standard output");
const { commands } = await createProgram({ stdout: output, stderr: output }, ["help"]);
const withJson = commands.filter(({ options }) => options.some(({ long }) => long === "--json"));

/** What stdout has, and that stderr says the same. */
async function errorOf(...words: readonly string[]): Promise<Record<string, string>> {
  const { status, stdout, stderr } = await penni(words);
  assert.equal(status, 1);
  const { error, ...rest } = JSON.parse(stdout);
  assert.deepEqual(rest, {});
  assert.ok(stderr.endsWith(`penni: ${error.message}\n`), stderr);
  return error;
}

test("most commands have --json", () => assert.ok(withJson.length >= 10, `${withJson.length}`));

for (const command of withJson.map((each) => each.name())) {
  test(`${command} --json: an option that there is not is an error in JSON`, async () => {
    const { code, message } = await errorOf(command, "--json", "--nonsense");
    assert.equal(code, "bad-option");
    assert.match(message ?? "", /--nonsense/);
  });
}

test("what is known of an error is in fields", async () => {
  const file = path.join(folder, "none\u001b[2J.onnx");
  const { message, ...fields } = await errorOf("inspect", file, "--json");
  assert.deepEqual(fields, { code: "io", file, advice: "Check the path" });
  assert.doesNotMatch(message ?? "", /\p{Cc}/u);
});

test("penni MODEL PICTURES --json: likewise", async () => {
  const { code } = await errorOf(path.join(folder, "none.onnx"), folder, "--json");
  assert.equal(code, "io");
});

test("without --json stdout stays empty; a model may be called so", async () => {
  assert.equal((await penni(["inspect", "none.onnx"])).stdout, "");
  assert.equal((await penni(["inspect", "--", "--json"])).stdout, "");
});

test("a result that was printed is all there is", async () => {
  const [model, budget] = [path.join(folder, "net.onnx"), path.join(folder, "budget.json")];
  await writeModel(model, smallNetwork());
  writeFileSync(budget, JSON.stringify({ atMost: { bytes: 10 } }));
  const { status, stdout } = await penni(["bench", model, "--rounds", "1", "--json", "--budget", budget]);
  assert.equal(status, 1);
  assert.ok(!("error" in JSON.parse(stdout)));
});
