import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { projectRoot } from "../../support/shared.js";
import { findCircle, importGraph, nodeImports } from "../../support/source_imports.js";

/** A row of the table of rooms in ARCHITECTURE.md. */
interface Room {
  readonly name: string;
  readonly mayImport: readonly string[];
  readonly runsInBrowsers: boolean;
}

/** Rows `| name | yes, no or bundled | what it may import | ... |` under the heading "Rooms". */
function roomsOfTheMap(): readonly Room[] {
  const text = readFileSync(path.join(projectRoot, "ARCHITECTURE.md"), "utf8");
  const [, section = ""] = text.split(/^## Rooms$/m);
  const [table = ""] = section.split(/^## /m);
  return [...table.matchAll(/^\| `([^`]+)` \| (yes|no|bundled) \| ([^|]*) \|/gm)].map(
    ([, name = "", browser = "", imports = ""]) => ({
      name,
      runsInBrowsers: browser === "yes",
      mayImport: [...imports.matchAll(/`([^`]+)`/g)].map(([, room = ""]) => room),
    }),
  );
}

const rooms = roomsOfTheMap();
const roomByName = new Map(rooms.map((room) => [room.name, room]));
const sources = importGraph(["src", "web/src"]);

/** Rooms of `src/`, and the playground, which is a folder of its own. */
const folderOf = (room: string): string => (room === "web" ? "web/src/" : `src/${room}/`);

/** The room with the longest name that a file lies in; files beside the rooms are the package's entries. */
function roomOf(file: string): string {
  const inside = rooms.filter(({ name }) => file.startsWith(folderOf(name)));
  return inside.reduce((longest, { name }) => (name.length > longest.length ? name : longest), "");
}

const isEntry = (file: string): boolean => path.posix.dirname(file) === "src";

describe("the map of rooms", () => {
  test("has every file of src in a room, and every room has files", () => {
    assert.ok(rooms.length > 10, "the table of ARCHITECTURE.md was not found");
    const homeless = [...sources.keys()].filter((file) => !isEntry(file) && roomOf(file) === "");
    assert.deepEqual(homeless, []);
    const inhabited = new Set([...sources.keys()].map(roomOf));
    assert.deepEqual(
      rooms.map(({ name }) => name).filter((name) => !inhabited.has(name)),
      [],
    );
  });

  test("allows every arrow between rooms that there is, and no more", () => {
    const found = new Map(rooms.map(({ name }) => [name, new Set<string>()]));
    for (const [file, imports] of sources)
      for (const target of imports)
        if (!isEntry(file) && roomOf(file) !== roomOf(target)) found.get(roomOf(file))?.add(roomOf(target));
    for (const { name, mayImport } of rooms)
      assert.deepEqual([...(found.get(name) ?? [])].sort(), [...mayImport].sort(), `what ${name} imports`);
  });

  test("goes one way", () => {
    assert.equal(findCircle(new Map(rooms.map(({ name, mayImport }) => [name, mayImport]))), undefined);
    const position = new Map(rooms.map(({ name }, index) => [name, index]));
    for (const { name, mayImport } of rooms)
      for (const other of mayImport)
        assert.ok((position.get(other) ?? Infinity) < (position.get(name) ?? -1), `${other} above ${name}`);
  });

  test("keeps Node out of what runs in a browser", () => {
    for (const file of sources.keys())
      if (roomByName.get(roomOf(file))?.runsInBrowsers === true)
        assert.deepEqual(nodeImports(file), [], file);
    for (const { name, mayImport, runsInBrowsers } of rooms)
      for (const other of runsInBrowsers ? mayImport : [])
        assert.equal(roomByName.get(other)?.runsInBrowsers, true, `${name} imports ${other}`);
  });
});

describe("imports", () => {
  test("go round in no circle, types included", () => {
    assert.equal(findCircle(importGraph(["src", "web/src", "support", "test", "bench"])), undefined);
  });

  test("a circle is found", () => {
    const graph = new Map([
      ["a", ["b", "c"]],
      ["b", ["d"]],
      ["c", ["d"]],
      ["d", ["e"]],
      ["e", ["c"]],
    ]);
    assert.deepEqual(findCircle(graph), ["d", "e", "c"]);
  });

  test("tests of the compiler check every program and graph on the way", () => {
    const tests = [...importGraph(["test/compile", "test/node"])].filter(([file]) =>
      file.endsWith(".test.ts"),
    );
    assert.ok(tests.length > 20);
    assert.deepEqual(
      tests.flatMap(([file, imports]) => (imports.includes("test/compile/self_checked.ts") ? [] : [file])),
      [],
    );
  });

  test("tests and benchmarks share what is in support/, and nothing else", () => {
    const crossing = [...importGraph(["support", "test", "bench"])].flatMap(([file, imports]) =>
      imports
        .filter((target) => !mayUse[topOf(file)]?.includes(topOf(target)))
        .map((target) => `${file} -> ${target}`),
    );
    assert.deepEqual(crossing, []);
  });
});

const topOf = (file: string): string => file.split("/", 1)[0] ?? "";

const mayUse: Readonly<Record<string, readonly string[]>> = {
  support: ["src", "support"],
  test: ["src", "web", "support", "test"],
  bench: ["src", "support", "bench"],
};
