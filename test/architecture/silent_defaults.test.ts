import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { silentDefaults, silentDefaultsIn } from "../../support/silent_defaults.js";
import { importGraph } from "../../support/source_imports.js";

describe("silent defaults", () => {
  /**
   * What must be there is read by the accessors of `graph/at.ts` and `graph/operands.ts`, which stop where it is missing;
   * what may be absent and then has a value of its own by `orDefault`, or by the accessor that says why
   * (`intAttributeOr`, `optionalInput`, `ofInput`, `countOf`, `listOf`).
   */
  test("are nowhere in the code", () => {
    const files = [...importGraph(["src"]).keys()];
    assert.ok(files.length > 700);
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
