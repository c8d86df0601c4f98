import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";
import { documents } from "../../support/markdown.js";
import { projectRoot } from "../../support/shared.js";

const check = path.join(projectRoot, "scripts/site/check.mjs");

/** What the check of the finished site says of these files. */
function faultsOf(files: Readonly<Record<string, string>>): readonly string[] {
  const folder = mkdtempSync(path.join(tmpdir(), "penni-site-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      writeFileSync(path.join(folder, name), text);
    }
    const { status, stderr, stdout } = spawnSync(process.execPath, [check, folder], {
      encoding: "utf8",
      env: { ...process.env, SITE_BASE: "/" },
    });
    const faults = stderr.split("\n").filter((line) => line !== "");
    assert.equal(status, faults.length === 0 ? 0 : 1, stderr);
    assert.match(stdout, new RegExp(`, ${faults.length} faults`));
    return faults;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("the check of the documentation's site", () => {
  test("has nothing against links and pictures of the site, and links to others", () => {
    const index = `<link rel="stylesheet" href="/a.css"><img src="data:image/png;base64,"><a href="b/c.html#x y">c</a>
      <a href="/b/">b</a><a href="https://example.com">elsewhere</a><code>&lt;script src="https://example.com/a.js"></code>`;
    const files = { "index.html": index, "a.css": "a { background: url(x.png) }", "b/index.html": "<p>" };
    assert.deepEqual(faultsOf({ ...files, "b/c.html": '<h1 id="x y"></h1><a href="../">up</a>' }), []);
  });

  test("finds pages and headings that are gone, and whatever comes from another host", () => {
    const index = `<a href="gone.html">1</a><a href="/a.html#gone">2</a><img src="//example.com/a.png">
      <script src="https://example.com/a.js"></script><img src="gone.png">`;
    const css = '@import "https://example.com/font.css"; a { background: url(http://example.com/a.png) }';
    assert.deepEqual(faultsOf({ "index.html": index, "a.html": "<p>", "a.css": css }).toSorted(), [
      "a.css: loads http://example.com/a.png",
      "a.css: loads https://example.com/font.css",
      "index.html: /a.html#gone: there is no such heading",
      "index.html: gone.html: there is no such page",
      "index.html: gone.png: there is no such page",
      "index.html: loads //example.com/a.png",
      "index.html: loads https://example.com/a.js",
    ]);
  });

  test("finds a search that looks at what is for those who change Penni", () => {
    const ids = [
      "/data.html",
      "/data.html#one",
      "/decisions.html#two",
      "/decisions.html#three",
      "/",
      "/architecture.html",
    ];
    const documents = Object.fromEntries(ids.map((id, index) => [index, id]));
    const index = `const index = '${JSON.stringify({ documentCount: ids.length, documentIds: documents })}'; export { index as default };`;
    assert.deepEqual(faultsOf({ "index.html": "<p>", "assets/chunks/@localSearchIndexroot.abc.js": index }), [
      "assets/chunks/@localSearchIndexroot.abc.js: the search looks at /decisions.html",
      "assets/chunks/@localSearchIndexroot.abc.js: the search looks at /architecture.html",
    ]);
  });
});

test("every document but forms of the forge has a place in the site's navigation, and the API reference has every entry", () => {
  const read = (file: string): string => readFileSync(path.join(projectRoot, file), "utf8");
  const pages = read("scripts/site/.vitepress/pages.ts");
  const lost = documents()
    .map(({ file }) => file)
    .filter((file) => !file.startsWith(".github/") && !pages.includes(`"${file}"`));
  assert.deepEqual(lost, []);
  const { exports } = JSON.parse(read("package.json")) as {
    readonly exports: Readonly<Record<string, { readonly types: string }>>;
  };
  const { entryPoints } = JSON.parse(read("scripts/api/typedoc.json")) as {
    readonly entryPoints: readonly string[];
  };
  const declared = Object.values(exports)
    .map(({ types }) => types)
    .filter((file) => file.startsWith("./dist/"));
  assert.deepEqual(
    entryPoints.map((file) => file.replace("../../src/", "./dist/src/").replace(/\.ts$/, ".d.ts")).toSorted(),
    declared.toSorted(),
  );
});
