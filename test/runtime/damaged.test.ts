import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { compileToWasm } from "../../src/compile/index.js";
import { int } from "../../src/graph/attributes.js";
import { CLASS_NAMES_KEY, imagenetPreprocessing, PREPROCESSING_KEY } from "../../src/graph/image_metadata.js";
import type { Graph } from "../../src/graph/types.js";
import { load } from "../../src/runtime/index.js";
import { node, smallGraph } from "../../support/small_models.js";

/** One score per colour of an image [1, 3, 2, 2], with all that a module can say of itself. */
function colourNetwork(): Graph {
  const graph = smallGraph(
    [1, 3, 2, 2],
    [node("GlobalAveragePool", ["x"], "mean"), node("Flatten", ["mean"], "y", { axis: int(1) })],
    {},
  );
  const metadata = new Map([
    [PREPROCESSING_KEY, JSON.stringify(imagenetPreprocessing)],
    [CLASS_NAMES_KEY, JSON.stringify(["red", "green", "blue"])],
  ]);
  return { ...graph, metadata };
}

const good = compileToWasm(colourNetwork());

interface Part {
  readonly start: number;
  readonly end: number;
}

/** Where the custom section of this name begins, from its id, and ends. */
function customSection(name: string): Part {
  const found = Buffer.from(good).indexOf(`${String.fromCharCode(name.length)}${name}`);
  let start = found - 1;
  // The size in front of it has bytes with the highest bit, but for the last.
  while (((good[start - 1] ?? 0) & 0x80) !== 0) start -= 1;
  let size = 0;
  for (let at = start, shift = 0; at < found; at++, shift += 7) size |= ((good[at] ?? 0) & 0x7f) << shift;
  return { start: start - 1, end: found + size };
}

const description = customSection("penni");
const digest = customSection("penni.sha256");

function changed(at: number, value: number): Uint8Array {
  const bytes = good.slice();
  bytes[at] = value;
  return bytes;
}

/** The module with other content of its description, and the digest that belongs to that. */
function described(content: string): Uint8Array {
  const text = Buffer.from(`\u0005penni${content}`);
  const size = Uint8Array.of(
    (text.length & 0x7f) | 0x80,
    ((text.length >> 7) & 0x7f) | 0x80,
    text.length >> 14,
  );
  return Buffer.concat([good.subarray(0, description.start), Uint8Array.of(0), size, text]);
}

const DAMAGED =
  /^load: (?:the module is (?:damaged|cut off)|expected a module written by penni)|^cannot compile the model, which/;

/** Loads it: a clear error, or a model whose use ends in values or errors that name what is wrong. */
async function survives(bytes: Uint8Array, what: string): Promise<boolean> {
  let model: Awaited<ReturnType<typeof load>>;
  try {
    model = await load(bytes);
  } catch (error) {
    assert.ok(error instanceof Error && DAMAGED.test(error.message), `${what}: ${error}`);
    return false;
  }
  const image = { width: 3, height: 3, data: new Uint8Array(36) };
  for (const use of [() => model.run(new Float32Array(12)), () => model.classify(image)]) {
    try {
      use();
    } catch (error) {
      assert.ok(error instanceof TypeError || error instanceof RangeError, `${what}: ${error}`);
      assert.match(error.message, /expected .*found/, what);
    }
  }
  return true;
}

test("every bit of the description flipped, every byte 0, 255, a quote, a digit: an error or a model that is one", async () => {
  assert.ok(description.end - description.start > 200);
  let refused = 0;
  for (let at = description.start; at < description.end; at++) {
    const byte = good[at] ?? 0;
    const others = [0, 255, 0x22, 0x39, ...Array.from({ length: 8 }, (_, bit) => byte ^ (1 << bit))];
    for (const value of others) {
      if (value !== byte && !(await survives(changed(at, value), `byte ${at} = ${value}`))) refused += 1;
    }
  }
  assert.ok(refused > 500, `${refused}`);
});

/** All values of a description, one at a time, replaced by others or left out. */
function variants(value: unknown): readonly unknown[] {
  const wrong = [null, 1, -1, 1.5, 1e300, "text", "", [], [[]], {}, true, [null], ["a"], [1], undefined];
  const inside =
    typeof value !== "object" || value === null
      ? []
      : Object.entries(value).flatMap(([key, part]) =>
          variants(part).map((other) =>
            Array.isArray(value) ? value.with(Number(key), other) : { ...value, [key]: other },
          ),
        );
  return [...wrong, ...inside];
}

test("every field of the description of another type or missing: an error or a model that is one", async () => {
  const text = Buffer.from(good.subarray(description.start, description.end)).toString("latin1");
  const own: unknown = JSON.parse(text.slice(text.indexOf("{")));
  assert.ok(await survives(described(JSON.stringify(own)), "unchanged"));
  const all = variants(own);
  assert.ok(all.length > 400);
  for (const variant of all) {
    const json = JSON.stringify(variant) ?? "";
    await survives(described(json), json);
  }
  for (const json of ["", "{", "nonsense", "\0", '{"inputs":', "[".repeat(10_000), '{"__proto__":{}}']) {
    assert.equal(await survives(described(json), json), false);
  }
});

test("verify: the module as it was compiled, however it comes", async () => {
  const model = await load(good, { verify: true });
  assert.deepEqual(model.run(new Float32Array(12)), new Float32Array(3));
  assert.ok(await load(new Blob([good.slice()]), { verify: true, relaxed: false }));
});

test("verify: any flipped bit, and any part cut off or added, is told", async () => {
  const refused = (bytes: Uint8Array, what: string) =>
    assert.rejects(load(bytes, { verify: true }), (error) => {
      assert.ok(error instanceof Error && DAMAGED.test(error.message), `${what}: ${error}`);
      return true;
    });
  for (let at = 0; at < good.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      await refused(changed(at, (good[at] ?? 0) ^ (1 << bit)), `bit ${bit} of byte ${at}`);
    }
  }
  for (let length = 0; length < good.length; length++)
    await refused(good.subarray(0, length), `${length} bytes`);
  await refused(Buffer.concat([good, Uint8Array.of(0, 1, 0)]), "a section more");
  await refused(Buffer.concat([good.subarray(0, digest.start), Uint8Array.of(0, 1, 0)]), "no digest");
});

test("verify without crypto.subtle, as on pages that are not secure, says what it needs", async () => {
  const own = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  assert.ok(own !== undefined);
  Object.defineProperty(globalThis, "crypto", { value: undefined, configurable: true });
  try {
    await assert.rejects(load(good, { verify: true }), /^Error: load: verify needs crypto\.subtle/);
    assert.ok(await load(good));
  } finally {
    Object.defineProperty(globalThis, "crypto", own);
  }
});

test("the digest is the one that everybody computes", () => {
  const expected = createHash("sha256").update(good.subarray(0, digest.start)).digest();
  assert.equal(digest.end, good.length);
  assert.deepEqual(Buffer.from(good.subarray(-32)), expected);
});
