import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Writable } from "node:stream";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import stringWidth from "string-width";
import { runView } from "../../src/cli/run_view.js";
import { formatTable } from "../../src/cli/table.js";
import { Output } from "../../src/cli/terminal.js";
import { writeModel } from "../../src/files/model_files.js";
import { CLASS_NAMES_KEY } from "../../src/graph/image_metadata.js";
import type { Graph } from "../../src/graph/types.js";
import { terminalText } from "../../src/text/destinations.js";
import { type Outcome, penni } from "../../support/command_line.js";
import { dangerousPieces } from "../../support/hostile_names.js";
import { SIZE, tinyRegressor, writeImages } from "../../support/label_free.js";
import { sharedPath, withoutShared } from "../../support/shared.js";
import { node, smallGraph, smallNetwork } from "../../support/small_models.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-hostile-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Title, clear screen, colours, a line of its own, the other direction. Names in ONNX are UTF-8, without half pairs; those with a NUL end there in ONNX Runtime. */
const evil = `\u001b]0;title\u0007\u001b[2J\u009b31m\rpenni: done\n${dangerousPieces.join("").replace(/[\p{Cs}\0]/gu, "")}`;

/** The same network with every name of a node, a value, an input, an output, a class and itself after `prefix`. */
function renamed(graph: Graph, prefix: string): Graph {
  const name = (old: string): string => (old === "" ? old : `${prefix}${old}`);
  return {
    ...graph,
    name: prefix,
    inputs: graph.inputs.map((info) => ({ ...info, name: name(info.name) })),
    outputs: graph.outputs.map((info) => ({ ...info, name: name(info.name) })),
    initializers: new Map([...graph.initializers].map(([key, tensor]) => [name(key), tensor])),
    valueInfo: new Map(),
    metadata: new Map([[CLASS_NAMES_KEY, JSON.stringify([prefix])]]),
    nodes: graph.nodes.map((node) => ({
      ...node,
      name: name(node.name),
      inputs: node.inputs.map(name),
      outputs: node.outputs.map(name),
    })),
  };
}

const images = path.join(folder, "images");
await writeImages(images, 24);
const data = ["--data", `images:${images}`, "--image-size", `${SIZE}x${SIZE}`];

async function modelFile(name: string, graph: Graph): Promise<string> {
  const file = path.join(folder, name);
  await writeModel(file, graph);
  return file;
}

const models = {
  hostile: {
    small: await modelFile("hostile.onnx", renamed(smallNetwork(), evil)),
    regressor: await modelFile("hostile-regressor.onnx", renamed(tinyRegressor(), evil)),
  },
  plain: {
    small: await modelFile("plain-s.onnx", renamed(smallNetwork(), "plain")),
    regressor: await modelFile("plain-regressor.onnx", renamed(tinyRegressor(), "plain")),
  },
};
type Models = (typeof models)["plain"];

let outputs = 0;
const newPlace = (): string => path.join(folder, `out-${outputs++}`);

const run = (model: string, more: readonly string[]): readonly string[] => [
  ...["compress", model, "--data", `images:${images}`, "-o", newPlace(), "--loss", "distill", "--basis", "4"],
  ...["--epochs", "0.5", "--fine-tune-epochs", "0.5", "--batch", "8", "--threads", "1", ...more],
];

const commands: Readonly<Record<string, (models: Models) => readonly string[]>> = {
  inspect: ({ small }) => ["inspect", small],
  "inspect --json": ({ small }) => ["inspect", small, "--json"],
  "inspect --shrink": ({ small }) => ["inspect", small, "--shrink"],
  compile: ({ small }) => ["compile", small, "--target", "c", "--name", "net", "-o", newPlace()],
  "compile --json": ({ small }) => ["compile", small, "--target", "wasm", "--json", "-o", newPlace()],
  bench: ({ small }) => ["bench", small, "--rounds", "1"],
  "bench --layers": ({ small }) => ["bench", small, "--layers"],
  sensitivity: ({ regressor }) => ["sensitivity", regressor, ...data, "--images", "4", "--ranks", "4"],
  "sensitivity --json": ({ regressor }) => ["sensitivity", regressor, ...data, "--images", "4", "--json"],
  "compress --plan": ({ regressor }) => run(regressor, ["--plan"]),
  "compress --plan --json": ({ regressor }) => run(regressor, ["--plan", "--json"]),
  compress: ({ regressor }) => run(regressor, []),
  "compress, an output that is not there": ({ regressor }) =>
    run(regressor, ["--output-loss", `${evil}=mse`]),
  "eval of what is no classifier": ({ regressor }) => ["eval", regressor, ...data],
  "a file that is not there": () => ["inspect", evil],
  "an option that is not there": () => ["inspect", `--${evil}`],
  "a command that is not there": () => [evil],
  "a wrong value of an option": ({ small }) => ["inspect", small, "--input-shape", evil],
  "a wrong input": ({ small }) => ["inspect", small, "--input-shape", `${evil}none:1x3`],
};

const isHarmless = ({ stdout, stderr }: Outcome): boolean =>
  terminalText(stdout) === stdout && terminalText(stderr) === stderr;

/** Lines, so that a name cannot pretend to be one; progress appears as time passes. */
const lines = ({ stdout }: Outcome): number => stdout.split("\n").length;

for (const [name, args] of Object.entries(commands)) {
  test(`${name}: nothing of a name acts on the terminal`, async () => {
    const [found, expected] = [await penni(args(models.hostile)), await penni(args(models.plain))];
    assert.equal(found.status, expected.status, found.stderr);
    assert.ok(isHarmless(found), JSON.stringify(found).slice(0, 3000));
    assert.equal(lines(found), lines(expected));
    if (found.status !== 0) assert.match(found.stderr, /^(?:pictures: [^\n]+\n)?penni: [^\n]+\n$/);
    if (name.endsWith("--json"))
      assert.ok(JSON.stringify(JSON.parse(found.stdout)).includes(JSON.stringify(evil).slice(1, 20)));
  });
}

test("the escapes of a model file are shown, not sent", {
  skip: withoutShared("cases/s3_terminal_escapes.onnx"),
}, async () => {
  const found = await penni(["inspect", sharedPath("cases/s3_terminal_escapes.onnx")]);
  assert.ok(isHarmless(found));
  assert.match(found.stdout, /\\x1b\]0;PWN-TITLE\\x07/);
});

/** A terminal that keeps what it gets. */
class Screen extends Writable {
  readonly isTTY = true;
  readonly columns = 100_000;
  text = "";
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

test("progress in a terminal: only what moves the cursor is sent", () => {
  const screen = new Screen();
  const view = runView(new Output(screen, "screen"));
  for (let done = 0; done < 3; done++) {
    view.layers?.("calibrating", done, 3, evil, { share: done / 3, secondsLeft: done });
    view.images?.(evil, done, 3);
    view.notice?.(evil);
    view.stage(evil);
    view.progress?.({
      ...{ stage: evil, phase: evil, step: done, steps: 3, epoch: 1, epochs: 2 },
      ...{ loss: 1, sparsity: 0, imagesPerSecond: 1, secondsLeft: 1 },
    });
  }
  view.stop();
  const own = "(?:\\?25[lh]|\\?7[lh]|\\d*[GKJ]|\\d+;\\d+[Hf])";
  const rest = screen.text.replace(new RegExp(`\u001b(?:[78]|\\[${own})`, "g"), "").replaceAll("\r", "");
  assert.ok(screen.text.length > rest.length);
  assert.equal(terminalText(rest), rest);
});

test("tables with wide, joined and combining characters keep their columns", () => {
  const names = [
    "网络层一",
    "conv1",
    "e\u0301e\u0301",
    "\u{1f469}\u200d\u{1f4bb}x",
    `${"层".repeat(60)}末`,
    "کتاب",
  ];
  const columns = [
    { title: "layer", cell: (name: string) => name, dropOrder: 0 },
    { title: "number", cell: () => "12345", align: "right", dropOrder: 0 },
  ] as const;
  for (const width of [20, 40, 400]) {
    const rows = formatTable(columns, names, width).split("\n");
    assert.equal(rows.length, names.length + 1);
    assert.deepEqual([...new Set(rows.map(stringWidth))].length, 1, rows.join("\n"));
    assert.ok(stringWidth(rows[0] ?? "") <= width);
    if (width < 100) assert.match(rows[5] ?? "", /^…层*末 +12345$/);
  }
});

test("the example's README of hostile inputs: its program runs, and no name leaves its line", async () => {
  const names = [
    "__proto__",
    "```\n# title",
    `"]: 1 };process.exit(9)//`,
    `<script>${evil}</script>`,
    "\u2028`",
  ];
  const [input] = smallGraph([1, 4], [], {}).inputs;
  const graph: Graph = {
    ...smallGraph([1, 4], [], {}),
    inputs: names.map((name) => ({ name, type: input?.type })),
    outputs: [{ name: "sum", type: undefined }],
    nodes: [node("Sum", names, "sum")],
  };
  const file = await modelFile("inputs.onnx", graph);
  const place = newPlace();
  const args = ["compile", file, "--target", "wasm", "--example", "--name", "net", "-o", place];
  assert.equal((await penni(args)).status, 0);
  const text = readFileSync(path.join(place, "README.md"), "utf8");
  assert.equal(text.match(/^```/gm)?.length, 2);
  assert.equal(text.match(/^# /gm)?.length, 1);
  assert.equal(text.match(/^- `+ .* `+: float32 \[1, 4\]$/gm)?.length, names.length + 1);
  const program = path.join(place, "program.mjs");
  writeFileSync(program, `${/```js\n([\s\S]*?)```/.exec(text)?.[1]}\nexport { output };`);
  const { output } = (await import(pathToFileURL(program).href)) as { readonly output: Float32Array };
  assert.deepEqual(output, new Float32Array(4));
});

test("a report of hostile names is one page of text", async () => {
  const place = newPlace();
  const args = [
    "sensitivity",
    models.hostile.regressor,
    ...data,
    "--images",
    "4",
    "--ranks",
    "4",
    "-o",
    place,
  ];
  assert.equal((await penni(args)).status, 0);
  const page = readFileSync(path.join(place, "sensitivity.html"), "utf8");
  // But for the page's own script.
  const content = page.replace(/<script>"use strict";[^<]*(?:<(?!\/script>)[^<]*)*<\/script>/, "");
  assert.notEqual(content, page);
  assert.doesNotMatch(content, /<script|<\/script|<!--|javascript:/i);
  assert.equal(terminalText(page).replaceAll("\\x09", "\t"), page);
});
