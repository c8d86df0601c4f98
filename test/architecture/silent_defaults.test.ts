import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { projectRoot } from "../../support/shared.js";
import { silentDefaults, silentDefaultsIn } from "../../support/silent_defaults.js";
import { importGraph } from "../../support/source_imports.js";

describe("silent defaults", () => {
  /**
   * What must be there is read by the accessors of `graph/at.ts` and `graph/operands.ts`, which stop where it is missing;
   * what may be absent and then has a value of its own by `orDefault`, or by the accessor that says why
   * (`intAttributeOr`, `optionalInput`, `ofInput`, `countOf`, `listOf`).
   */
  test("are nowhere in the code", () => {
    const files = [...importGraph(["src", "web/src"]).keys()];
    assert.ok(files.length > 900);
    assert.deepEqual(
      files.flatMap((file) => silentDefaultsIn(file).map((found) => `${file}: ${found}`)),
      [],
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
      const g = ([x = constant(0)], k, lanes) => use([x = zero, y = one]);
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
      "x = constant(0)",
      "x = zero",
      "y = one",
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

test("the compiler throws PenniError and nothing else", () => {
  const files = [...importGraph(["src/compile"]).keys()];
  assert.ok(files.length > 50);
  const found = files.filter((file) =>
    /\bthrow new (?!PenniError\b)\w+/.test(readFileSync(path.join(projectRoot, file), "utf8")),
  );
  assert.deepEqual(found, []);
});
