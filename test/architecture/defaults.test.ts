import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { projectRoot } from "../../support/shared.js";

/** Rooms without silent defaults: what must be there is read by src/graph/at.ts. */
const rooms = ["src/compile", "src/runtime", "src/graph/at.ts"] as const;

/** `?? 0`, `?? -1`, `?? ""`, `?? Number.NaN`, and `[a = 1, b] =` or `([a = 1]) =>`. */
const silentDefaults = [
  /\?\?\s*(?:-?\d|""|Number\.)/g,
  /(?<=[[,]\s*)\w+ = (?:-?\d[\w.]*|""|Number\.\w+|constant\([^)]*\)|zero|one)(?=\s*(?:,[^\]()]*)?\](?:: [^)]*)?(?: =|\)? =>|, \w+))/g,
];

function filesOf(place: string): readonly string[] {
  const root = path.join(projectRoot, place);
  if (place.endsWith(".ts")) return [place];
  return readdirSync(root, { recursive: true })
    .map(String)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `${place}/${file.split(path.sep).join("/")}`);
}

const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/ .*$/gm, "");

const count = (text: string): number =>
  silentDefaults.reduce((sum, form) => sum + (withoutComments(text).match(form)?.length ?? 0), 0);

describe("silent defaults", () => {
  test("are found in every form", () => {
    const forms = ["x ?? 0", "x ?? -1", 'x ?? ""', "x ?? Number.NaN", "x ??\n    1"];
    const more = ["const [a = 1] = b;", "const [a = 1, b] = c;", "const [, b = 2, ...rest] = c;"];
    const lambdas = ["([x = constant(0)], k, lanes) => x", "([x = zero, y = one]) => x"];
    for (const form of [...forms, ...more, ...lambdas]) assert.ok(count(form) > 0, form);
    const allowed = [
      "x ?? []",
      "x ?? other",
      "(x, index = 0) => x",
      "{ a = 1 } = b",
      "list[a] = 1;",
      "// x ?? 0",
    ];
    for (const form of allowed) assert.equal(count(form), 0, form);
  });

  for (const place of rooms) {
    test(`${place}: there are none`, () => {
      const found = filesOf(place).map(
        (file) => [file, count(readFileSync(path.join(projectRoot, file), "utf8"))] as const,
      );
      assert.ok(found.length > 0);
      assert.deepEqual(
        found.filter(([, times]) => times > 0),
        [],
      );
    });
  }
});

test("the compiler throws PenniError and nothing else", () => {
  const found = filesOf("src/compile").filter((file) =>
    /\bthrow new (?!PenniError\b)\w+/.test(readFileSync(path.join(projectRoot, file), "utf8")),
  );
  assert.deepEqual(found, []);
});
