import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { writeModel } from "../../src/files/model_files.js";
import { RunDirectory } from "../../src/run/directory.js";
import { penni } from "../../support/command_line.js";
import { writeImages } from "../../support/label_free.js";
import { projectRoot } from "../../support/shared.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-config-"));
after(() => rm(folder, { recursive: true, force: true }));
const place = (...parts: readonly string[]): string => path.join(folder, ...parts);

before(async () => {
  await writeModel(place("tiny.onnx"), tinyCnn());
  await writeImages(place("pictures"), 20);
  await mkdir(place("deep"));
});

/** Writes a configuration and plans with it. */
async function plan(name: string, content: unknown, ...options: readonly string[]) {
  await writeFile(place(name), typeof content === "string" ? content : JSON.stringify(content));
  return penni(["compress", "--plan", "--config", place(name), ...options]);
}

const pruned = (text: string): string | undefined =>
  /pruned \S+ \w+ \((?<share>[\d.]+) %\)/.exec(text)?.groups?.share;

describe("a configuration file", () => {
  test("gives what the command line does not; that comes first", async () => {
    const content = { compress: { model: "tiny.onnx", targetMacs: 0.8, basis: 3 } };
    const planned = await plan("a.json", content);
    assert.equal(planned.status, 0, planned.stderr);
    assert.match(planned.stderr, /^settings from .*a\.json\n/);
    assert.match(planned.stdout, /coefficients go until 80 %/);
    const other = await plan("a.json", content, "--target-macs", "0.6");
    assert.match(other.stdout, /coefficients go until 60 %/);
    const size = await plan("a.json", content, "--deviations", "1.5");
    assert.equal(size.status, 0, size.stderr);
    assert.match(size.stdout, /1\.5/);
    assert.ok(Number(pruned(planned.stdout)) <= 80);
  });

  test("may be YAML or JavaScript, by what it is called", async () => {
    const yaml = await plan("b.yaml", "compress:\n  model: tiny.onnx # beside this\n  targetMacs: 0.7\n");
    assert.match(yaml.stdout, /coefficients go until 70 %/);
    const script = await plan(
      "c.mjs",
      'export default { compress: { model: "tiny.onnx", targetMacs: 1.4 / 2 } };',
    );
    assert.equal(script.stdout, yaml.stdout);
  });

  /** What `penni compress --plan` says beside a penni.config.ts, in a process of its own with these options of Node.js. */
  async function beside(config: string, nodeOptions: readonly string[]) {
    const where = place(`typed-${nodeOptions.length}-${config.length}`);
    await mkdir(where);
    await writeFile(path.join(where, "penni.config.ts"), config);
    const args = [...nodeOptions, path.join(projectRoot, "dist/src/cli/main.js"), "compress", "--plan"];
    return spawnSync(process.execPath, args, { cwd: where, encoding: "utf8" });
  }

  const typed = `
    interface Settings { readonly compress: { readonly model: string; readonly targetMacs: number } }
    const settings: Settings = { compress: { model: "../tiny.onnx", targetMacs: 0.65 as number } };
    export default settings;`;
  const stripsTypes = Boolean(Reflect.get(process.features, "typescript"));

  test("may be TypeScript where Node.js takes the types out itself", async (context) => {
    if (!stripsTypes) return context.skip(`Node.js ${process.version} does not: the next test is about it`);
    const { status, stdout, stderr } = await beside(typed, []);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /coefficients go until 65 %/);
    assert.match(stderr, /^settings from penni\.config\.ts\n/);
    // What is more than types Node.js does not run, and says so.
    const failed = await beside(`enum Size { Small = 1 }\n${typed}`, []);
    assert.equal(failed.status, 1, failed.stderr);
    assert.match(failed.stderr, /penni\.config\.ts: the configuration cannot be run.*enum/s);
  });

  test("that is TypeScript ends in one sentence where Node.js does not, as 20.19 does not: what it takes, what to do", async () => {
    const { status, stdout, stderr } = await beside(
      typed,
      stripsTypes ? ["--no-experimental-strip-types"] : [],
    );
    assert.equal(status, 1, stderr);
    assert.equal(stdout, "");
    assert.equal(
      stderr,
      `penni: penni.config.ts: this Node.js does not run TypeScript: expected Node.js 22.18 or later, found ${process.version}. ` +
        "Write penni.config.mjs or penni.config.json instead\n",
    );
  });

  test("is found in the present directory; there is one", async () => {
    const before = process.cwd();
    process.chdir(place("deep"));
    try {
      const content = { compress: { model: "../tiny.onnx", data: "images:../pictures", targetMacs: 0.75 } };
      await writeFile("penni.config.json", JSON.stringify(content));
      const { stdout, stderr } = await penni(["compress", "--plan"]);
      assert.match(stdout, /coefficients go until 75 %/);
      assert.match(stderr, /^settings from penni\.config\.json\n/);
      // What it is for, and nothing else.
      assert.equal((await penni(["inspect", "../tiny.onnx"])).stderr, "");
      const easy = await penni(["../tiny.onnx", "../pictures", "--plan"]);
      assert.match(easy.stderr, /With 75 % of the multiply-accumulates left/);
      assert.equal(easy.stderr.split("settings from").length, 2);
      await writeFile("penni.config.yaml", "");
      assert.match((await penni(["train", "x.onnx"])).stderr, /several configuration files/);
    } finally {
      process.chdir(before);
    }
  });

  test("is what a run is made with: paths are meant from where it lies, every kind of value arrives", async () => {
    const content = {
      $schema: "./penni.schema.json",
      compress: {
        model: "tiny.onnx",
        data: "images:pictures",
        out: "run",
        preset: "calibrate",
        calibrationImages: 16,
        targetMacs: "0.9",
        threads: 1,
        mean: [0.5, 0.5, 0.5],
        std: [0.25, 0.25, 0.25],
        inputShape: { x: [1, 3, 16, 16] },
        shrinkWhileTraining: false,
        seed: 7,
      },
    };
    await writeFile(place("run.json"), JSON.stringify(content));
    const { status, stderr } = await penni(["compress", "--config", place("run.json")]);
    assert.equal(status, 0, stderr);
    const { config } = await RunDirectory.open(place("run"));
    assert.deepEqual(
      [config.seed, config.preprocessing.mean, config.settings.shrinkWhileTraining, config.settings.prune],
      [7, [0.5, 0.5, 0.5], "off", { rule: "macs", fraction: 0.9 }],
    );
    const resumed = await penni(["compress", "--resume", place("run"), "--config", place("run.json")]);
    assert.match(resumed.stderr, /--resume goes on with the run's own .*found --config/);
  });

  const faults: readonly (readonly [string, unknown, RegExp])[] = [
    [
      "a misspelt setting",
      { compress: { targetMac: 0.5 } },
      /no setting compress\.targetMac\. Did you mean targetMacs\?/,
    ],
    [
      "the option's name",
      { compress: { "target-macs": 0.5 } },
      /compress\.target-macs\. Did you mean targetMacs\?/,
    ],
    ["a misspelt command", { compres: {} }, /no setting compres\. Did you mean compress\?/],
    ["something else", { compress: { nothing: 1 } }, /no setting compress\.nothing: expected model, data, /],
    ["what is for one call", { compress: { resume: "run" } }, /no setting compress\.resume/],
    [
      "the wrong kind",
      { compress: { threads: "two" } },
      /compress\.threads is not what it should be: found .*number/,
    ],
    ["too little", { compress: { threads: 0 } }, /compress\.threads is not what it should be: found .*1/],
    ["no choice", { compress: { preset: "slow" } }, /compress\.preset .*fast/],
    ["within a list", { compress: { inputShape: { x: [1, 3, 0] } } }, /compress\.inputShape\.x\[2\]/],
    [
      "what the option refuses",
      { compress: { targetMacs: 3 } },
      /compress\.targetMacs: expected a number above 0, up to 1, found "3"/,
    ],
    [
      "two rules",
      { compress: { targetMacs: 0.5, targetSize: "3kB" } },
      /compress\.targetSize contradicts compress\.targetMacs/,
    ],
    ["the other command's", { train: { epochs: -1 } }, /train\.epochs/],
    ["no object", [1, 2], /the configuration is not what it should be/],
    ["no JSON", "{ compress: 1 }", /this is no JSON/],
    ["__proto__", '{ "__proto__": { "compress": 1 } }', /no setting __proto__/],
  ];
  for (const [name, content, message] of faults) {
    test(`is refused in a line that names file and place: ${name}`, async () => {
      const { status, stdout, stderr } = await plan("bad.json", content);
      assert.deepEqual([status, stdout, stderr.split("\n").length], [1, "", 2], stderr);
      assert.match(stderr, message);
      assert.match(stderr, /bad\.json/);
    });
  }

  test("may have settings of the other command besides", async () => {
    const content = {
      compress: { targetMacs: 0.5, loss: "distill", outputLoss: { y: "mse" } },
      train: { epochs: 3, flip: false },
    };
    await writeFile(place("both.json"), JSON.stringify(content));
    const { stderr } = await penni(["train", "--config", place("both.json")]);
    assert.match(stderr, /what to train is not fully given/);
    assert.match((await plan("both.json", content)).stderr, /there is no model to plan for/);
  });

  test("that is missing, of another kind, or broken YAML is named", async () => {
    const refused = async (name: string): Promise<string> =>
      (await penni(["compress", "--plan", "--config", place(name)])).stderr;
    for (const name of ["none.json", "none.yaml", "none.mjs"]) assert.match(await refused(name), /none/);
    assert.match(await refused("tiny.onnx"), /no configuration file: expected a name that ends in \.json/);
    assert.match((await plan("bad.yaml", "compress: [")).stderr, /no YAML: found .*line 1/);
    assert.match((await plan("bad.mjs", "export default 1 +")).stderr, /cannot be run/);
  });
});

test("penni schema prints a schema of all options that a file may have", async () => {
  const { status, stdout } = await penni(["schema"]);
  assert.equal(status, 0);
  const schema = JSON.parse(stdout);
  assert.match(schema.$schema, /json-schema\.org/);
  const { compress, train } = schema.properties;
  assert.deepEqual([compress.additionalProperties, train.additionalProperties], [false, false]);
  assert.equal(compress.properties.threads.minimum, 1);
  assert.match(compress.properties.targetMacs.description, /fraction of the original's MACs/);
  assert.deepEqual(compress.properties.preset.enum, ["fast", "best", "calibrate", "paper"]);
  assert.equal(train.properties.flip.type, "boolean");
  assert.equal(train.properties.resume, undefined);
});
