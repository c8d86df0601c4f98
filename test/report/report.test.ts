import assert from "node:assert/strict";
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { RunReader } from "../../src/report/data/run.js";
import { breakable, shortenStart } from "../../src/report/html.js";
import { plot } from "../../src/report/plot.js";
import { placeNames } from "../../src/report/point_names.js";
import { judgementOf } from "../../src/report/run_judgement.js";
import { runPage } from "../../src/report/run_page.js";
import { reportPage } from "../../src/report/shell.js";
import { shellLine } from "../../src/report/shell_words.js";
import { writeReport } from "../../src/report/write_report.js";
import type { RunConfig } from "../../src/run/config.js";
import { RunDirectory } from "../../src/run/directory.js";
import { RunLock } from "../../src/run/lock.js";
import { escapeHtml, type Html } from "../../src/text/destinations.js";
import { penni } from "../../support/command_line.js";
import { writeReportRun } from "../../support/report_run.js";
import { runConfig } from "../../support/run_config.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-report-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => path.join(folder, name);

/** What a model may call its layers. */
const hostile = `</text></svg></script><script>alert("1")</script><img src=x onerror='alert(2)'>&amp;`;

/** Tags of a document; what is not escaped would be among them. */
const tagNames = (html: string): ReadonlySet<string> =>
  new Set([...html.matchAll(/<\/?([a-zA-Z][a-zA-Z0-9]*)/g)].map(([, name]) => name?.toLowerCase() ?? ""));

const allowed = new Set(
  (
    "html head meta title style body a header nav main section footer script h1 h2 h3 p ul ol li dl dt dd div span b i " +
    "br wbr small code pre button label input output details summary figure figcaption article img " +
    "svg g path rect text circle table caption thead tbody tfoot tr th td"
  ).split(" "),
);

/** A page without the style and the script that are ours. */
const withoutOwn = (html: string): string =>
  html.replace(/<style>[\s\S]*?<\/style>/, "").replace(/<script>"use strict";[\s\S]*?<\/script>/, "");

function checkSafe(html: string): void {
  const content = withoutOwn(html);
  for (const name of tagNames(content))
    assert(allowed.has(name) && name !== "script", `<${name}> in the page`);
  // Attributes of tags, without their values.
  assert.equal(/<[^<>]*\son[a-z]+=/.test(content.replaceAll(/"[^"]*"/g, '""')), false);
  assert.equal(html.includes("\u0000"), false);
}

function checkSelfContained(html: string): void {
  const addresses = [...html.matchAll(/https?:\/\/[^\s"<]+/g)].map(([address]) => address);
  assert.deepEqual(addresses, []);
  assert.match(html, /default-src &#39;none&#39;/);
  assert.equal(/url\(|@import|<link/.test(html), false);
}

await writeReportRun(at("whole"));
const whole = await new RunReader(at("whole")).read();
const page = runPage(whole);
/** Attributes and tags taken away, and what is written for browsers only. */
const textOf = (html: string): string =>
  withoutOwn(html)
    .replaceAll(/<wbr>/g, "")
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll(/&#39;/g, "'")
    // Thin spaces are part of the numbers.
    .replaceAll(/[ \n]+/g, " ");

test("names from models, classes and settings stay text, everywhere in a page", async () => {
  await writeReportRun(at("hostile"), {
    suffix: hostile,
    config: { leftOut: [{ output: hostile, reason: hostile }], preset: hostile, teacher: hostile },
  });
  const report = await new RunReader(at("hostile")).read();
  assert.deepEqual(report.problems, []);
  const html = runPage({ ...report, problems: [hostile] });
  checkSafe(html);
  checkSelfContained(html);
  // In layers, kernels, answers, curves, notes and settings.
  assert(html.split(escapeHtml(hostile)).length > 40);
  checkSafe(reportPage({ title: hostile, eyebrow: [], sections: [{ id: "a", title: hostile, body: [] }] }));
  const series = {
    name: hostile,
    points: [
      { x: 0, y: 1, label: hostile },
      { x: 1, y: Number.NaN },
    ],
  };
  const spec = { title: hostile, xLabel: hostile, yLabel: hostile, series: [series, series] };
  checkSafe(plot({ ...spec, bands: [{ from: 0, to: 1, name: hostile }] }));
});

test("nothing of a page comes from elsewhere", () => {
  checkSelfContained(page);
  checkSafe(page);
});

test("the figures of the page are those of summary.json", () => {
  const { original, compressed, changes } = JSON.parse(readFileSync(at("whole/summary.json"), "utf8"));
  const text = textOf(page);
  const near = (name: string, ...parts: readonly string[]): void => {
    const from = text.indexOf(name);
    assert(from >= 0, name);
    for (const part of parts) assert(text.slice(from, from + 250).includes(part), `${part} behind ${name}`);
  };
  near("Accuracy (top-1)", "\u22121.15 points", "91.70\u202f% \u2192 90.55\u202f%", "2,000 test images");
  assert.equal(original.test.correct / original.test.total, 0.917);
  assert.equal((100 * changes.test.value).toFixed(2), "-1.15");
  near("Accuracy (top-1)", (100 * changes.test.low).toFixed(2).replace("-", "\u2212"));
  near(
    "Time per image, compiled",
    "2.5\u00d7 faster",
    "3.50\u202fms \u2192 1.40\u202fms",
    "39.0\u202f% to 42.0\u202f%",
  );
  near("Time per image in ONNX Runtime", "no difference", "1.25\u202fms \u2192 1.13\u202fms");
  near("File", `${(original.bytes / compressed.bytes).toFixed(1)}\u00d7 smaller`);
  near(
    "Multiply-accumulates (paper count)",
    `${((100 * compressed.paperMacs) / original.paperMacs).toFixed(1)}\u202f%`,
  );
});

test("answers that changed are shown where there are no labels, too", () => {
  const counts = { lost: 0, gained: 0, other: 0, changed: 2 };
  const example = { index: 3, outcome: "changed", before: "cat<b>", after: "dog", png: "AAAA" } as const;
  const html = runPage({ ...whole, answers: { images: 24, counts, examples: [example] } });
  checkSafe(html);
  const text = textOf(html);
  assert.match(text, /2 of 24 test images; which answer is right nobody has said, as there are no labels\./);
  assert.match(text, /cat&lt;b&gt; → dog another answer/);
  assert.match(html, /alt="Test image 3"/);
});

test("the layers' measured times, before and after, and what is in no layer", () => {
  const { original, compressed } = JSON.parse(readFileSync(at("whole/layer-times.json"), "utf8"));
  const text = textOf(page);
  assert.match(text, /Time, compiled/);
  const convolutions = original.layers.length;
  assert.ok(convolutions > 2);
  // One more is what is in no layer.
  assert.equal(text.match(/ 1\.00\u202fms → 0\.50\u202fms /g)?.length, convolutions + 1);
  const [before, after] = [original, compressed].map(({ wholeMs }) => `${wholeMs.toFixed(2)}\u202fms`);
  assert.ok(text.includes(`${before} → ${after}`), "the whole");
  const without = textOf(runPage({ ...whole, layerTimes: undefined }));
  assert.doesNotMatch(without, /Time, compiled/);
});

test("the layers' costs add up to the summary's", () => {
  const { original, compressed } = JSON.parse(readFileSync(at("whole/summary.json"), "utf8"));
  const { network } = whole;
  assert(network?.after !== undefined && network.rest.after !== undefined);
  assert.deepEqual(network.before, { parameters: original.parameters, macs: original.paperMacs });
  assert.deepEqual(network.after, { parameters: compressed.parameters, macs: compressed.paperMacs });
  const layers = network.rows.flatMap(({ layer }) => (layer === undefined ? [] : [layer]));
  const sum = layers.reduce((total, { before }) => total + before.macs, network.rest.before.macs);
  assert.equal(sum, original.paperMacs);
  // Every multiplication belongs to a layer, before and after: none is lost by its name.
  assert.equal(network.rest.before.macs, 0);
  assert.equal(network.rest.after.macs, 0);
  for (const layer of layers) assert((layer.after?.macs ?? 0) <= layer.before.macs);
  const bases = whole.kernels.map(({ d, basis, R, S }) => [d, basis.length, basis[0]?.length === R * S]);
  assert.deepEqual(
    bases,
    bases.map(() => [5, 5, true]),
  );
  assert(bases.length > 0);
});

test("every epoch of metrics.jsonl is in the page", () => {
  const lines = readFileSync(at("whole/metrics.jsonl"), "utf8").trim().split("\n");
  const text = textOf(page);
  assert.equal(lines.length, 4);
  for (const line of lines) {
    const { loss, sparsity, validation } = JSON.parse(line);
    for (const value of [
      `${Number(loss.toPrecision(4))}`,
      `${(100 * sparsity).toFixed(1)}\u202f%`,
      `${(100 * validation).toFixed(1)}\u202f%`,
    ])
      assert(text.includes(value), value);
  }
});

test("what is not there yet is left out, and the next step is said", async () => {
  await writeReportRun(at("half"), { until: "decompose" });
  const report = await new RunReader(at("half")).read();
  assert.equal(report.state, "stopped");
  assert.deepEqual(report.problems, []);
  const { next } = judgementOf(report);
  assert.equal(next?.command, `penni compress --resume ${at("half")}`);
  assert.match(runPage(report), /id="layers"[\s\S]*id="kernels"/);
  await writeReportRun(at("start"), { until: "simplify" });
  assert.doesNotMatch(runPage(await new RunReader(at("start")).read()), /id="kernels"|id="training"/);
});

test("the steps are those that the run has", async () => {
  const stepsOf = async (name: string, changed: Partial<RunConfig["settings"]>): Promise<string> => {
    const settings = { ...runConfig("fast").settings, ...changed };
    await writeReportRun(at(name), { until: "simplify", config: { settings } });
    const page = runPage(await new RunReader(at(name)).read());
    const items = page.matchAll(/<li class="(?:done|now|open)"[^>]*>([^<]+)/g);
    return [...items].map(([, step]) => step).join(" ");
  };
  const before = "simplify normalize";
  const after = "decompose retrain prune fine-tune";
  assert.equal(await stepsOf("plain", {}), `${before} ${after} shrink export measure`);
  const pattern = { rule: "pattern", keep: 2, of: 4 } as const;
  assert.equal(await stepsOf("pattern", { prune: pattern }), `${before} ${after} export measure`);
  const { retrain: training } = runConfig("fast").settings;
  const channels = { fraction: 0.5, training, teaches: false };
  assert.equal(
    await stepsOf("narrow", { channels }),
    `${before} channels recover ${after} shrink export measure`,
  );
});

test("a run somebody works on is at work", async () => {
  const lock = await RunLock.acquire(at("half"));
  try {
    const report = await new RunReader(at("half")).read();
    assert.equal(report.state, "running");
    assert.match(judgementOf(report).next?.command ?? "", /^penni report --watch .* --open$/);
    assert.match(runPage(report), /<li class="now" aria-current="step">normalize/);
  } finally {
    await lock.release();
  }
});

test("damaged parts of a run are named and left out, the rest is shown", async () => {
  cpSync(at("whole"), at("damaged"), { recursive: true });
  for (const name of ["summary.json", "answers.json", "stages/export.onnx"])
    writeFileSync(at(`damaged/${name}`), "{]");
  appendFileSync(at("damaged/metrics.jsonl"), "nonsense\n");
  const report = await new RunReader(at("damaged")).read();
  const problems = report.problems.join("\n");
  for (const name of ["summary.json", "answers.json", "stages/export.onnx", "metrics.jsonl: 1 of 5 lines"])
    assert(problems.includes(name), name);
  assert.equal(report.networkAfter, "shrink");
  assert.equal(report.metrics.length, 4);
  checkSafe(runPage(report));
});

test("penni report: one run, several, a directory of runs", async () => {
  const one = await penni(["report", at("whole")]);
  assert.equal(one.status, 0, one.stderr);
  assert.match(one.stdout, /Usable, but training longer is likely to pay\. It is [\d.]+\u00d7 smaller/);
  assert(one.stdout.endsWith(`${at("whole/report.html")}\n`));
  checkSelfContained(readFileSync(at("whole/report.html"), "utf8"));
  mkdirSync(at("sweep"));
  for (const name of ["x", "y"]) cpSync(at("whole"), at(`sweep/${name}`), { recursive: true });
  await writeReport([at("sweep/x")]);
  assert.equal(
    readFileSync(at("sweep/x/report.html"), "utf8"),
    runPage(await new RunReader(at("sweep/x")).read()),
  );
  const several = await penni(["report", at("sweep"), at("half"), "-o", at("several.html")]);
  assert.equal(several.status, 0, several.stderr);
  const html = readFileSync(at("several.html"), "utf8");
  checkSafe(html);
  checkSelfContained(html);
  for (const name of ["sweep/x", "sweep/y", "half"])
    assert.match(html, new RegExp(`scope="row"[^>]*>${name}</th>`));
  // Of equal ones no other one beats any.
  assert.match(html, /runs that no other beats/);
  assert.doesNotMatch(html, /other runs/);
});

test("penni report on what is no run, or a broken one", async () => {
  mkdirSync(at("empty"));
  mkdirSync(at("broken"));
  writeFileSync(at("broken/config.json"), "{}");
  writeFileSync(at("file"), "");
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[at("empty")], /empty: there is no run in this directory.*config\.json/],
    [[at("nothing")], /nothing: there is no run in this directory.*nothing of this name/],
    [[at("file")], /file: there is no run in this directory/],
    [[at("broken")], /config\.json: the run's configuration cannot be read/],
    [[at("whole"), at("empty"), "-o", at("no.html")], /empty: there is no run/],
    [
      [at("whole"), "-o", at("missing/no.html")],
      /missing\/no\.html: the file's directory is not there\. Make it first/,
    ],
    [[at("whole"), "--watch", "-o", at("no.html")], /--watch or --out/],
  ];
  for (const [args, expected] of cases) {
    const { status, stderr } = await penni(["report", ...args]);
    assert.equal(status, 1);
    assert.match(stderr.replaceAll("\n", " "), expected);
    assert.doesNotMatch(stderr, /at .*\.js:\d+/);
  }
});

test("a training's report", async () => {
  const { settings: _, ...rest } = runConfig("fast");
  const settings = {
    ...{ epochs: 2, schedule: { kind: "cosine", initial: 0.1 } as const, labelSmoothing: 0, resolutions: [] },
    ...{ optimizer: { momentum: 0.9, weightDecay: 0 }, batch: 8, augmentation: { padding: 0, flip: false } },
    ...{ validation: 0, threads: 1, device: "cpu" as const, checkpointSeconds: 60 },
  };
  const { format, model, data, seed, preprocessing, versions } = rest;
  const config = { kind: "training" as const, format, model, data, seed, settings, preprocessing, versions };
  const run = await RunDirectory.create(at("trained"), config, tinyCnn());
  await run.writeJson("summary.json", { test: { correct: 9, total: 10 }, epochs: 2, model: "m" });
  const report = await new RunReader(at("trained")).read();
  assert.deepEqual(report.problems, []);
  const text = textOf(runPage(report));
  assert.match(text, /The network is trained: 90\.0\u202f% top-1/);
  assert.match(text, /penni compress \S+model\.onnx --data synthetic:100/);
});

test("curves: gaps, equal names, single points, nothing", () => {
  const gaps = [0, 1, 2, 3].map((x) => ({ x, y: x === 1 ? Number.NaN : x }));
  const draw = (series: Parameters<typeof plot>[0]["series"]): Html =>
    plot({ title: "t", xLabel: "x", yLabel: "y", series });
  const two = draw([
    { name: "same", points: gaps },
    { name: "same", points: gaps },
  ]);
  for (const colour of [1, 2]) assert.match(two, new RegExp(`<g class="series-${colour}">`));
  // Two drawings of two curves of two pieces each.
  assert.equal([...two.matchAll(/class="curve" d="M[^"]*M[^"]*"/g)].length, 4);
  assert.match(two, /not finite/);
  for (const series of [[], [{ name: "one", points: [{ x: 5, y: 5 }] }], [{ name: "none", points: [] }]])
    assert.doesNotMatch(draw(series), /NaN|Infinity/);
});

test("escaping, shortening, quoting", () => {
  assert.equal(escapeHtml(`<a href="x">'&`), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
  assert.equal(shortenStart("/layer1/conv/Conv", 9), "\u2026onv/Conv");
  assert.equal(shortenStart("short", 9), "short");
  assert.equal(breakable("/a/<b>"), "/<wbr>a/<wbr>&lt;b&gt;");
  assert.equal(
    shellLine(["penni", "a b", "it's", "$(x)", "/plain-1.onnx"]),
    `penni 'a b' 'it'\\''s' '$(x)' /plain-1.onnx`,
  );
});

test("names of points cover no other, and end where the drawing does", () => {
  const at = (x: number, y: number, text = "trial 7") => ({ x, y, text });
  // Three on each other, one just below, one far enough, one at the right edge, one without room on either side.
  const placed = placeNames(
    [at(50, 50), at(50, 50), at(52, 53), at(50, 70), at(190, 50), at(20, 90, "a name that is too long")],
    200,
  );
  assert.deepEqual(
    placed.map((name) => name?.anchor),
    ["start", undefined, undefined, "start", "end", "start"],
  );
  assert.ok((placed[4]?.x ?? 200) < 190);
  assert.equal(placeNames([at(10, 10, "wide")], 30)[0], undefined);
});
