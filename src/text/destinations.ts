/**
 * Text from files (names of nodes, values, classes, graphs) made safe for where it goes: one function and one type per
 * destination. What is printed into a destination asks for its type, so that the compiler finds a text that was not
 * made safe.
 */

declare const destination: unique symbol;

interface For<Destination extends string> {
  readonly [destination]: Destination;
}

/** What may stand between the marks of a C comment, in one line. */
export type CComment = string & For<"C comment">;
/** A string literal of C with its quotes. */
export type CString = string & For<"C string">;
/** A C identifier; as it has letters, digits and underscores only, it is also a word of a Makefile and a file's name. */
export type CIdentifier = string & For<"C identifier">;
/** Content of elements and of quoted attributes in HTML and SVG. */
export type Html = string & For<"HTML">;
/** A literal of JavaScript or TypeScript with its quotes, also within a `<script>` or a Markdown fence. */
export type ScriptLiteral = string & For<"script">;
/** A code span of Markdown with its marks. */
export type MarkdownCode = string & For<"Markdown">;
/** A line, or part of one, for people to read in a terminal or a log. */
export type TerminalLine = string & For<"terminal">;

/**
 * What changes how text is read without being seen: controls, bidirectional and other format characters (but for the
 * two joiners, which scripts and emoji need), halves of surrogate pairs, line and paragraph separators.
 */
export const UNSEEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

const LONGEST_COMMENT = 200;

/** Anything that cannot end, nest or continue a comment; what is not ASCII becomes "?". */
export function cComment(text: string): CComment {
  const safe = shortened(text, LONGEST_COMMENT)
    .replace(/[^\x20-\x7e]+/gu, "?")
    // Without a star there is no mark of a comment, without a backslash no continued line.
    .replaceAll("*", "+")
    .replaceAll("\\", "|")
    // Trigraphs.
    .replace(/\?{2,}/g, "?");
  return safe as CComment;
}

/** Bytes that C compilers must take in one literal: C99, 5.2.4.1. */
const LONGEST_LITERAL = 4000;

/** The text in UTF-8, as a literal that no compiler reads otherwise; NUL, which would end it, becomes U+FFFD. */
export function cString(text: string): CString {
  const bytes = new TextEncoder().encode(shortened(text.replaceAll("\0", "\u{fffd}"), LONGEST_LITERAL / 4));
  const safe = Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f && !'"\\?'.includes(String.fromCharCode(byte))
      ? String.fromCharCode(byte)
      : `\\${byte.toString(8).padStart(3, "0")}`,
  );
  return `"${safe.join("")}"` as CString;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** The same text with U+FFFD in place of what documents must not hold or readers cannot see. */
export function withoutControls(text: string): string {
  return text.replace(UNSEEN, (character) => (/[\t\n]/.test(character) ? character : "\u{fffd}"));
}

/** Plain text for an HTML or SVG document, also within quoted attributes. */
export function escapeHtml(text: string): Html {
  return withoutControls(text).replaceAll(/[&<>"']/g, (sign) => entities[sign] ?? sign) as Html;
}

/** A piece of HTML: `html\`<p>${escapeHtml(text)}</p>\``; the compiler refuses values that were not escaped. */
export function html(parts: TemplateStringsArray, ...values: readonly (Html | readonly Html[])[]): Html {
  return String.raw({ raw: parts }, ...values.map((value) => [value].flat().join("\n"))) as Html;
}

/** The text as a literal: only ASCII, and nothing that ends a string, a template, an element or a fence. */
export function scriptLiteral(text: string): ScriptLiteral {
  return JSON.stringify(text).replace(/[^\x20-\x7e]|[<>&'`$]/g, unicodeEscape) as ScriptLiteral;
}

/** The text in one line of code, whatever of Markdown or HTML it holds. */
export function markdownCode(text: string): MarkdownCode {
  const line = terminalLine(text);
  const runs = [...line.matchAll(/`+/g)].map(([run]) => run);
  const mark = "`".repeat(1 + Math.max(0, ...runs.map((run) => run.length)));
  return `${mark} ${line} ${mark}` as MarkdownCode;
}

/** White space becomes a space, everything else that is not seen its code: "\x1b[2J" is shown, not done. */
export function terminalLine(text: string): TerminalLine {
  return text.replace(/[\s\u0085]+/gu, oneSpace).replace(UNSEEN, shownCode) as TerminalLine;
}

/** Several lines of text for a terminal: everything unseen but line ends is shown by its code. */
export function terminalText(text: string): string {
  return text.replace(UNSEEN, (character) => (character === "\n" ? character : shownCode(character)));
}

/** A value as JSON whose text is harmless in a terminal. */
export function terminalJson(value: unknown, indent?: number): string {
  const json = JSON.stringify(value, undefined, indent);
  return json.replace(UNSEEN, (character) =>
    character === "\n" ? character : character.replace(/[\s\S]/g, unicodeEscape),
  );
}

/** Runs of spaces alone stay, as they are seen. */
function oneSpace(white: string): string {
  return /^ *$/.test(white) ? white : " ";
}

function shownCode(character: string): string {
  const code = character.codePointAt(0);
  if (code === undefined) throw new RangeError("an empty text has no character");
  const digits = code.toString(16);
  return code < 0x100 ? `\\x${digits.padStart(2, "0")}` : `\\u{${digits}}`;
}

/** Of one UTF-16 unit. */
function unicodeEscape(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** The end stays: it tells names like /layer1/conv1/Conv apart. */
function shortened(text: string, length: number): string {
  return text.length <= length ? text : `...${text.slice(text.length - length + 3)}`;
}
