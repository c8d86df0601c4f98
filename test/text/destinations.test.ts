import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  cComment,
  cString,
  escapeHtml,
  html,
  markdownCode,
  scriptLiteral,
  terminalJson,
  terminalLine,
  terminalText,
} from "../../src/text/destinations.js";
import { dangerousPieces, dangerousTexts, plainTexts } from "../../support/hostile_names.js";

const texts = [...plainTexts, ...dangerousTexts];
const dangerous = fc
  .array(fc.constantFrom(...dangerousPieces), { maxLength: 12 })
  .map((parts) => parts.join(""));
const anything = fc.oneof(dangerous, fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }));

/** A check of one destination: of all bytes, of all pairs of the dangerous texts, of random ones. */
function always(check: (text: string) => void): void {
  for (const text of texts) check(text);
  fc.assert(fc.property(anything, check), { numRuns: 2000, seed: 1 });
}

/** Whether each character of a text is seen as it stands, so that no terminal acts on it. */
const isSeen = (text: string): boolean =>
  Array.from(text, (character) => character.codePointAt(0) ?? 0).every(
    (code) => !unseen.some(([first, last]) => first <= code && code <= last),
  );

/** Unicode's control, bidirectional and invisible characters, and halves of pairs, written out. */
const unseen: readonly (readonly [number, number])[] = [
  [0, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x61c, 0x61c],
  [0x200b, 0x200b],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xd800, 0xdfff],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0xe0001, 0xe007f],
];

test("a comment of C: one line of ASCII without a mark, a continuation or a trigraph", () => {
  always((text) => {
    const comment = cComment(text);
    assert.match(comment, /^[\x20-\x7e]*$/);
    assert.doesNotMatch(`/* ${comment} */`.slice(2, -2), /\*|\\|\?\?/);
    assert.ok(comment.length <= 200);
  });
  assert.equal(cComment("/layer1/conv.0 (Conv)"), "/layer1/conv.0 (Conv)");
});

test("a string of C: a literal that is read as the text itself", () => {
  always((text) => {
    const literal = cString(text);
    assert.match(literal, /^"(?:[\x20\x21\x23-\x3e\x40-\x5b\x5d-\x7e]|\\[0-7]{3})*"$/);
    assert.ok(literal.length <= 4095);
    const bytes = [...literal.slice(1, -1).matchAll(/\\(\d{3})|(.)/g)].map(([, octal, letter = ""]) =>
      octal === undefined ? letter.charCodeAt(0) : Number.parseInt(octal, 8),
    );
    if (text.length <= 1000) {
      const whole = Buffer.from(text.replaceAll("\0", "\u{fffd}"), "utf8");
      assert.deepEqual(Buffer.from(bytes), whole);
    }
    assert.ok(!bytes.includes(0));
  });
});

test("HTML: text without markup, in elements and attributes", () => {
  always((text) => {
    const safe = escapeHtml(text);
    assert.doesNotMatch(safe.replace(/&(?:amp|lt|gt|quot|#39);/g, ""), /[&<>"']/);
    assert.ok(isSeen(safe.replace(/[\t\n]/g, "")), JSON.stringify(safe));
  });
  assert.equal(html`<p title="${escapeHtml('"')}">${[html`a`, html`b`]}</p>`, '<p title="&quot;">a\nb</p>');
  // @ts-expect-error a text that was not escaped
  assert.equal(html`${"<"}`, "<");
});

test("a literal of JavaScript, in scripts and fences: read as the text, without anything that ends it", () => {
  always((text) => {
    const literal = scriptLiteral(text);
    assert.match(literal, /^"[\x20-\x7e]*"$/);
    assert.doesNotMatch(literal, /[<>&'`$]/);
    assert.equal(JSON.parse(literal), text);
    if (text.length < 1000) assert.equal(new Function(`return ${literal}`)(), text);
  });
});

test("code of Markdown: one span", () => {
  always((text) => {
    const code = markdownCode(text);
    const [, mark = "", inside = ""] = /^(`+) (.*) \1$/su.exec(code) ?? [];
    assert.ok(mark !== "" && isSeen(inside));
    for (const run of inside.match(/`+/g) ?? []) assert.ok(run.length < mark.length);
  });
});

test("a line of a terminal: everything in it is seen", () => {
  always((text) => assert.ok(isSeen(terminalLine(text)), JSON.stringify(text)));
  assert.equal(terminalLine("a\u001b]0;title\u0007\u001b[2Jb"), "a\\x1b]0;title\\x07\\x1b[2Jb");
  assert.equal(terminalLine("a\r\n\tb  c\u202ed"), "a b  c\\u{202e}d");
  assert.equal(
    terminalLine("کتاب\u200cها \u{1f469}\u200d\u{1f4bb}"),
    "کتاب\u200cها \u{1f469}\u200d\u{1f4bb}",
  );
});

test("lines for a terminal: only line ends are kept of what is not seen", () => {
  always((text) => assert.ok(isSeen(terminalText(text).replaceAll("\n", ""))));
  assert.equal(terminalText("a\nb\rc"), "a\nb\\x0dc");
});

test("JSON for a terminal: seen, and the same value", () => {
  always((text) => {
    const value = { [text]: [text, 1, null] };
    for (const indent of [undefined, 2]) {
      const json = terminalJson(value, indent);
      assert.ok(isSeen(json.replaceAll("\n", "")));
      assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify(value)));
    }
  });
});
