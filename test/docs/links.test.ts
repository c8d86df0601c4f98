import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { type Document, documents, parse, readDocument } from "../../support/markdown.js";
import { projectRoot } from "../../support/shared.js";

const all = documents();

/** What is wrong with the relative links of a document. */
function brokenLinks({ file, links, anchors }: Document): readonly string[] {
  return links.flatMap(({ target, line }) => {
    if (/^[a-z]+:/i.test(target)) return [];
    const [name = "", anchor] = target.split("#");
    const place = path.join(path.dirname(file), name);
    const where = `${file}:${line}: ${target}`;
    if (name !== "" && !existsSync(path.join(projectRoot, place))) return [`${where}: there is no such file`];
    if (anchor === undefined) return [];
    const found = name === "" ? anchors : readDocument(place).anchors;
    return found.has(anchor) ? [] : [`${where}: there is no such heading`];
  });
}

/** Paths that a document names between backticks, of this repository or of the example that it is about; names in capitals stand for any. */
const PLACE = /^(?:src|test|bench|scripts|docs|proto|\.ci|\.github)\/[\w./-]*$/;

function missingPlaces({ file, spans }: Document): readonly string[] {
  return spans.flatMap(({ text, line }) => {
    const isNamed = PLACE.test(text) && !/(?:^|\/)[A-Z]+(?:[./]|$)/.test(text.replace(/\.md$/, ""));
    const places = [text, path.join(path.dirname(file), text)];
    const isThere = places.some((place) => existsSync(path.join(projectRoot, place)));
    return isNamed && !isThere ? [`${file}:${line}: ${text}`] : [];
  });
}

describe("documents", () => {
  test("relative links lead to files and headings that exist", () => {
    assert.ok(all.flatMap(({ links }) => links).length > 30);
    assert.deepEqual(all.flatMap(brokenLinks), []);
  });

  test("files that they name exist", () => {
    assert.deepEqual(all.flatMap(missingPlaces), []);
  });

  test("a link to nothing, a heading that is gone and a file that has moved are found", () => {
    const text =
      "# One two\n[a](nothing.md) [b](#one-two) [c](#three) [d](README.md#try-it) `src/no/such.ts` `src/NAME.ts`";
    const document = parse("X.md", text);
    assert.deepEqual(brokenLinks(document), [
      "X.md:2: nothing.md: there is no such file",
      "X.md:2: #three: there is no such heading",
    ]);
    assert.deepEqual(missingPlaces(document), ["X.md:2: src/no/such.ts"]);
  });

  test("the README is a landing page: at most 900 words", () => {
    const words = readFileSync(path.join(projectRoot, "README.md"), "utf8")
      .split(/\s+/)
      .filter((word) => word !== "");
    assert.ok(words.length <= 900, `${words.length} words`);
  });
});
