import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { entryOf } from "../../src/graph/at.js";
import { silentDefaults, silentDefaultsIn } from "../../support/silent_defaults.js";
import { importGraph } from "../../support/source_imports.js";

/**
 * How many silent defaults a room may have. What must be there is read by the accessors of `graph/at.ts` and
 * `graph/operands.ts`, which stop where it is missing; what may be absent and then has a value of its own by `orDefault`,
 * or by the accessor that says why (`intAttributeOr`, `optionalInput`, `ofInput`). A number above 0 is what nobody has
 * gone through yet: it may go down, with the table, and never up.
 */
const allowed: Readonly<Record<string, number>> = {
  text: 0,
  graph: 0,
  layers: 0,
  onnx: 0,
  runtime: 0,
  "ops/core": 0,
  "ops/channels": 0,
  "ops/families": 0,
  "ops/composites": 0,
  "ops/operators": 0,
  "ops/inference": 0,
  "ops/passes": 0,
  compile: 0,
  files: 0,
  execute: 0,
  data: 0,
  networks: 0,
  measure: 0,
  train: 0,
  method: 408,
  build: 0,
  vite: 0,
  run: 0,
  report: 0,
  cli: 0,
};

/** The room with the longest name that a file lies in; undefined for what lies in none, such as the package's entries. */
function roomOf(file: string): string | undefined {
  const inside = Object.keys(allowed).filter((room) => file.startsWith(`src/${room}/`));
  return inside.sort((left, right) => right.length - left.length)[0];
}

describe("silent defaults", () => {
  test("are as many in each room as its number says, and nowhere else", () => {
    const found = new Map(Object.keys(allowed).map((room) => [room, 0]));
    const outside: string[] = [];
    for (const file of importGraph(["src"]).keys()) {
      const room = roomOf(file);
      const count = silentDefaultsIn(file).length;
      if (room !== undefined) found.set(room, entryOf(found, room) + count);
      else if (count > 0) outside.push(file);
    }
    assert.deepEqual(outside, [], "a file outside of all rooms of the table has silent defaults");
    assert.deepEqual(
      Object.fromEntries(found),
      allowed,
      "more: read what must be there through an accessor that stops; fewer: lower the room's number",
    );
  });

  test("are found as fallbacks and in lists that are taken apart", () => {
    const code = `
      const a = list[i] ?? 0;
      const b = map.get(name) ?? "";
      const c = (found?.length ?? -1) + (other ??
        1e-5);
      const [x = "", y = ""] = node.inputs;
      const [[first = 1] = [], ...rest] = scales;
      const f = ([, height = 1]: readonly number[]) => height;
      count ??= 0;
      for (const item of items ?? []) use(item ?? Infinity, limit ?? Number.NaN);
    `;
    assert.deepEqual(silentDefaults(code), [
      "?? 0",
      '?? ""',
      "?? -1",
      "??\n        1e-5",
      'x = ""',
      'y = ""',
      "first = 1",
      "height = 1",
      "??= 0",
      "?? []",
      "?? Infinity",
      "?? Number.NaN",
    ]);
  });

  test("are not defaults of options, other fallbacks, comments and texts", () => {
    const code = `
      // list[i] ?? 0
      /* [x = ""] */
      function run({ alpha = 1, names = [] }: Options, size = 0, list = [width, 0]) {}
      const a = list[i] ?? other[i] ?? fallback;
      const b = given ?? "NOTSET";
      const c = { x: [alpha], y: url ?? "https://example.org" };
      const d = orDefault(list[i], 0);
      for (let i = 0, j = 1; i < [1, 2].length; i++) {}
    `;
    assert.deepEqual(silentDefaults(code), []);
  });
});
