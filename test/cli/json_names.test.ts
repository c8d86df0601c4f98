import assert from "node:assert/strict";
import { test } from "node:test";
import { nameGivenTwice } from "../../src/cli/json_names.js";

test("a name that an object of a JSON text has twice is found, and no other one", () => {
  const tab = "\t";
  const cases: readonly (readonly [string, string | undefined, number?])[] = [
    ['{"a": 1, "b": {"a": 2}, "c": [{"a": 3}, {"a": 4}], "d": ["a", "a"], "e": "a"}', undefined],
    ['{"a": "a", "b": "x{\\"y\\": [,"}', undefined],
    ["[]", undefined],
    ['"{"', undefined],
    ['{"a": 1, "a": 2}', '"a"', 1],
    [`{${tab}"axes": {\n"b": [1, {}],\n"c": {"b": 1},\n${tab}"b": 2}}`, '"b"', 4],
    ['{"a": [{"x": 1,\n "y": 2, "x": 3}]}', '"x"', 2],
    ['{"ka": 1, "k\\u0061": 2}', '"k\\u0061"', 1],
    ['{"": 1, "": 2}', '""', 1],
    ['{"__proto__": 1, "constructor": 2, "toString": 3}', undefined],
    ['{"__proto__": 1, "__proto__": 2}', '"__proto__"', 1],
  ];
  for (const [text, name, line] of cases) {
    JSON.parse(text);
    assert.deepEqual(nameGivenTwice(text), name === undefined ? undefined : { name, line }, text);
  }
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
  assert.equal(nameGivenTwice(deep), undefined);
});
